package dev.stepd.session;

import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/// The threads all sessions share. Small sessions have their own, so that they never queue behind large ones, and so
/// has the database, so that no step waits for it; those that write much give way to all others.
final class Lanes implements AutoCloseable {
    /// Below this a step takes less time than handing it to another thread and back.
    static final long SMALL_ELEMENTS_MAX = 32_768;

    /// Below this a snapshot is written before anybody feels it, and would only come late if it gave way.
    private static final long SMALL_SNAPSHOT_BYTES_MAX = 4 << 20;

    private static final int STORING_THREADS = 2;
    private static final int LOADING_THREADS = 2;

    private final ExecutorService small;
    private final ExecutorService large;
    private final ExecutorService storingSmall;
    private final ExecutorService storing;
    private final ExecutorService loading;

    Lanes() {
        int threads = Math.max(2, Runtime.getRuntime().availableProcessors());
        small = pool("stepd-small", threads, () -> {});
        large = pool("stepd-large", threads, () -> {});
        storingSmall = pool("stepd-store-small", STORING_THREADS, () -> {});
        storing = pool("stepd-store", STORING_THREADS, Courtesy::giveWay);
        loading = pool("stepd-load", LOADING_THREADS, () -> {});
    }

    Executor stepping(long elements) {
        return elements < SMALL_ELEMENTS_MAX ? small : large;
    }

    /// Whether snapshots of so many bytes are written in the time that others leave.
    static boolean givesWay(long bytes) {
        return bytes >= SMALL_SNAPSHOT_BYTES_MAX;
    }

    /// For the snapshots of a session of so many bytes, for which no step waits.
    Executor storing(long bytes) {
        return givesWay(bytes) ? storing : storingSmall;
    }

    /// For what clients wait for and no step does.
    Executor loading() {
        return loading;
    }

    @Override
    public void close() {
        for (var pool : new ExecutorService[] {small, large, storingSmall, storing, loading}) {
            pool.shutdown();
        }
        try {
            for (var pool : new ExecutorService[] {small, large, storingSmall, storing, loading}) {
                pool.awaitTermination(1, TimeUnit.MINUTES);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static ExecutorService pool(String name, int threads, Runnable first) {
        var count = new AtomicInteger();
        ThreadFactory factory = task -> {
            var thread = new Thread(() -> {
                first.run();
                task.run();
            }, name + "-" + count.incrementAndGet());
            thread.setDaemon(true);
            return thread;
        };
        // refuses only once it is shut down: then the caller finds the session closed by itself
        return new ThreadPoolExecutor(threads, threads, 0, TimeUnit.SECONDS, new LinkedBlockingQueue<>(), factory,
                (task, pool) -> task.run());
    }
}
