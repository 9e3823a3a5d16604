package dev.stepd.demo;

import dev.stepd.demo.Trainer.Standing;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;

/// All trainers side by side, each with its session, on one server, which may be killed while they are at it. Runs
/// once.
final class Training {
    private static final long WATCH_MILLIS = 100;
    private static final long NEVER = -1;
    private static final long BEGIN_SECONDS_MAX = 60;

    private final ServerProcess server;
    private final Course course;
    private final List<Contestant> contestants;
    private final Progress progress;
    private final AtomicBoolean killed = new AtomicBoolean();
    /// Open once every trainer has finished its first step.
    private final CountDownLatch begun;
    private boolean restarted;

    Training(ServerProcess server, Course course, List<Contestant> contestants, Progress progress) {
        this.server = server;
        this.course = course;
        this.contestants = contestants;
        this.progress = progress;
        this.begun = new CountDownLatch(contestants.size());
    }

    /// Trains to the end.
    List<Trained> run() throws InterruptedException {
        return run(NEVER);
    }

    /// Trains to the end, though the server is killed when the first trainer is half-way, and started again.
    List<Trained> runThroughCrash() throws InterruptedException {
        return run(course.steps() / 2);
    }

    private List<Trained> run(long killAt) throws InterruptedException {
        try (var connection = new Connection(server::address)) {
            var trainers = contestants.stream()
                    .map(contestant -> new Trainer(contestant, course, connection, step -> afterStep(step, killAt)))
                    .toList();
            var threads = Executors.newFixedThreadPool(trainers.size(), Thread.ofPlatform().daemon().factory());
            try {
                return results(trainers, trainers.stream().map(threads::submit).toList());
            } finally {
                threads.shutdownNow();
            }
        }
    }

    /// The trainer that is half-way kills the server before it goes on: the crash is never too late. It waits for those whose
    /// session is not made yet, else nothing of theirs would come back.
    private void afterStep(long step, long killAt) {
        if (step == 1) {
            begun.countDown();
        }
        if (step == killAt && killed.compareAndSet(false, true)) {
            awaitBegun();
            server.kill();
        }
    }

    private void awaitBegun() {
        try {
            if (!begun.await(BEGIN_SECONDS_MAX, TimeUnit.SECONDS)) {
                throw new IllegalStateException("a trainer did not begin within " + BEGIN_SECONDS_MAX + " s");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private List<Trained> results(List<Trainer> trainers, List<Future<Trained>> futures) throws InterruptedException {
        var results = new ArrayList<Trained>();
        for (var future : futures) {
            while (!awaited(future)) {
                progress.show(standings(trainers), course.steps());
                if (!server.isAlive()) {
                    restart();
                }
            }
            results.add(result(future));
        }
        progress.show(standings(trainers), course.steps());
        return results;
    }

    private void restart() throws InterruptedException {
        if (!killed.get() || restarted) {
            throw new IllegalStateException("the server ended unasked\n" + server.log());
        }
        restarted = true;
        progress.say("server killed, starting again on its data");
        long start = System.nanoTime();
        server.restart();
        double seconds = (System.nanoTime() - start) / 1e9;
        progress.say(String.format(Locale.ROOT, "server back at %s after %.1f s", server.address(), seconds));
    }

    private static List<Standing> standings(List<Trainer> trainers) {
        return trainers.stream().map(Trainer::standing).toList();
    }

    private static boolean awaited(Future<?> future) throws InterruptedException {
        try {
            future.get(WATCH_MILLIS, TimeUnit.MILLISECONDS);
            return true;
        } catch (TimeoutException e) {
            return false;
        } catch (ExecutionException e) {
            return true;
        }
    }

    private static Trained result(Future<Trained> future) throws InterruptedException {
        try {
            return future.get();
        } catch (ExecutionException e) {
            throw e.getCause() instanceof RuntimeException failure ? failure : new IllegalStateException(e.getCause());
        }
    }
}
