package dev.stepd.faults;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.faults.Trainer.Promise;
import dev.stepd.store.jdbc.Postgres;
import dev.stepd.store.jdbc.StoppablePostgres;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/// A server that is killed again and again while clients step: no step that was answered is lost, none is taken twice, and the end is
/// that of an undisturbed run, bit for bit.
@Execution(ExecutionMode.CONCURRENT)
class KilledServerTest {
    private static final int MOMENT_MILLIS_MAX = 30;
    private static final int START_MILLIS_MAX = 1500;
    private static final int ENDING_MILLIS_MAX = 200;
    private static final int STEPS_BETWEEN_MAX = 60;
    private static final long PATIENCE_SECONDS = 120;

    /// When the end comes.
    private enum Moment {
        RUNNING,
        /// While a snapshot is written that somebody asked for.
        SNAPSHOT,
        /// While a session is forked.
        FORK,
        /// While it starts: migrates, claims, recovers.
        STARTING,
        /// While it ends in order.
        ENDING,
        /// It is asked to end a second time while it ends.
        ASKED_TWICE
    }

    @TempDir
    Path folder;

    /// Small segments are begun at every step of the larger sessions; memory holds two of them at a time.
    @Test
    void losesNothingThatWasAnswered() throws Exception {
        var random = Faults.random("kills");
        try (var victim = new Victim(folder, "--journal-segment", "100KB", "--memory", "2MB", "--idle-after", "0s")) {
            victim.start();
            var trainers = List.of(
                    new Trainer(victim, Promise.EVERY_STEP, "adamw", 3, random.nextLong()),
                    new Trainer(victim, Promise.EVERY_STEP, "adamw", 40_000, random.nextLong()),
                    new Trainer(victim, Promise.EVERY_STEP, "adam8bit", 20_000, random.nextLong()),
                    new Trainer(victim, Promise.DURABLE_STEP, "lion", 40_000, random.nextLong()));
            assertThat(victim.end()).isZero();
            victim.start();
            train(victim, trainers, () -> {
                int kills = Faults.kills(26);
                while (victim.kills() < kills) {
                    kill(victim, trainers, random);
                }
            });
        }
    }

    /// The journal is on this machine's disk, rows and snapshots are in a database that goes away too.
    @Test
    void losesNothingWhenTheDatabaseStopsToo() throws Exception {
        var random = Faults.random("stops");
        try (var postgres = new StoppablePostgres(folder.resolve("pg"));
                var victim = new Victim(folder, "--db", postgres.url(), "--db-user", Postgres.USER, "--db-password", Postgres.PASSWORD,
                        "--db-lease", "2s")) {
            victim.start();
            var trainers = List.of(
                    new Trainer(victim, Promise.EVERY_STEP, "adamw", 20_000, random.nextLong()),
                    new Trainer(victim, Promise.DURABLE_STEP, "adamw", 100, random.nextLong()));
            train(victim, trainers, () -> {
                int kills = Faults.kills(8);
                while (victim.kills() < kills) {
                    if (random.nextBoolean()) {
                        postgres.stop();
                        victim.letLive(random.nextInt(500));
                        postgres.start();
                    }
                    awaitSteps(victim, trainers, 1 + random.nextInt(STEPS_BETWEEN_MAX));
                    victim.letLive(random.nextInt(MOMENT_MILLIS_MAX));
                    victim.kill();
                    victim.start();
                }
            });
        }
    }

    /// Something that goes on while clients train.
    private interface Mischief {
        void happen() throws Exception;
    }

    private static void train(Victim victim, List<Trainer> trainers, Mischief mischief) throws Exception {
        try (var threads = Executors.newCachedThreadPool()) {
            var running = trainers.stream().map(threads::submit).toList();
            try {
                happen(() -> {
                    mischief.happen();
                    for (var each : trainers) { // the last server may still be taking over what another of them has
                        awaitSteps(victim, List.of(each), 1);
                    }
                }, running);
            } finally {
                victim.finish();
            }
            var steps = new ArrayList<Long>();
            for (var one : running) {
                steps.add(one.get(PATIENCE_SECONDS, TimeUnit.SECONDS));
            }
            System.out.println(victim.kills() + " kills, steps answered: " + trainers.stream().map(Trainer::taken).toList() + ", lost 0");
            var base = victim.lastAddress();
            for (int i = 0; i < trainers.size(); i++) {
                trainers.get(i).assertLikeUndisturbed(base, steps.get(i));
            }
        }
    }

    /// What a client finds wrong is told rather than what came of it.
    private static void happen(Mischief mischief, List<Future<Long>> running) throws Exception {
        try {
            mischief.happen();
        } catch (Exception | AssertionError e) {
            for (var one : running) {
                if (one.isDone()) {
                    one.get();
                }
            }
            throw e;
        }
    }

    private static void kill(Victim victim, List<Trainer> trainers, Random random) throws Exception {
        if (random.nextInt(4) > 0) { // else perhaps before the first
            awaitSteps(victim, trainers, 1 + random.nextInt(STEPS_BETWEEN_MAX));
        }
        var moments = Moment.values();
        switch (moments[random.nextInt(moments.length)]) {
            case RUNNING -> {
                victim.letLive(random.nextInt(MOMENT_MILLIS_MAX));
                victim.kill();
            }
            case SNAPSHOT -> {
                trainers.get(random.nextInt(trainers.size())).askForSnapshot(victim.address());
                victim.letLive(random.nextInt(MOMENT_MILLIS_MAX));
                victim.kill();
            }
            case FORK -> {
                trainers.get(random.nextInt(trainers.size())).askForFork(victim.address());
                victim.letLive(random.nextInt(MOMENT_MILLIS_MAX));
                victim.kill();
            }
            case STARTING -> {
                victim.kill();
                victim.startAndKill(random.nextInt(START_MILLIS_MAX));
            }
            case ENDING -> victim.endOrKill(random.nextInt(ENDING_MILLIS_MAX));
            case ASKED_TWICE -> victim.endAtOnce();
        }
        victim.start();
        removeForks(victim.lastAddress(), trainers.stream().map(Trainer::id).toList());
    }

    /// There is a fork, whole, or none.
    private static void removeForks(String base, List<String> trained) throws Exception {
        for (var session : Calls.json(Calls.send("GET", base + "/v1/sessions", "", new byte[0], -1)).get("sessions")) {
            if (!trained.contains(session.get("id").asText())) {
                assertThat(session.get("status").asText()).isEqualTo("ready");
                assertThat(session.get("has_parameters").asBoolean()).isTrue();
                Calls.send("DELETE", base + "/v1/sessions/" + session.get("id").asText(), "", new byte[0], -1);
            }
        }
    }

    /// Waits until the clients together were answered so many more steps.
    private static void awaitSteps(Victim victim, List<Trainer> trainers, long more) throws InterruptedException {
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
        long enough = sum(trainers) + more;
        while (sum(trainers) < enough) {
            assertThat(System.nanoTime()).as("clients are answered").isLessThan(until);
            victim.pause();
        }
    }

    private static long sum(List<Trainer> trainers) {
        return trainers.stream().mapToLong(Trainer::taken).sum();
    }
}
