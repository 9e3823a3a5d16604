package dev.stepd.server;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.server.RunningServer.Call;
import dev.stepd.store.jdbc.Postgres;
import dev.stepd.store.jdbc.StoppablePostgres;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// PostgreSQL goes away while sessions step, and comes back.
class DatabaseAwayTest {
    private static final String STEP = "{\"gradients\": {\"w\": [1, -1, 0.5]}}";
    /// Above what a connection is waited for, with room for a slow machine.
    private static final Duration ANSWER_MAX = Duration.ofSeconds(20);

    @TempDir
    Path folder;

    @Test
    void stepsGoOnDurableWritesFailAndRecover() throws Exception {
        try (var postgres = new StoppablePostgres(folder.resolve("pg"));
                var server = RunningServer.start(folder.resolve("data"), Map.of(
                        "db", postgres.url(), "db-user", Postgres.USER, "db-password", Postgres.PASSWORD, "db-lease", "3s"))) {
            var fleeting = server.session(session("none", 1));
            var kept = server.session(session("snapshot", 1));
            var asked = server.session(session("snapshot", 1_000_000));
            step(server, kept);
            step(server, asked);
            var stop = new AtomicBoolean();
            var taken = new AtomicLong();
            var stepping = CompletableFuture.runAsync(() -> {
                while (!stop.get()) {
                    assertThat(server.send(Call.json("POST", fleeting + "/steps", STEP)).statusCode()).isEqualTo(200);
                    taken.incrementAndGet();
                }
            });

            postgres.stop();
            long before = taken.get();
            long asking = System.nanoTime();
            var refused = server.send(Call.of("POST", asked + "/snapshots"));
            assertThat(Duration.ofNanos(System.nanoTime() - asking)).isLessThan(ANSWER_MAX);
            assertThat(refused.statusCode()).isEqualTo(503);
            assertThat(RunningServer.json(refused).get("retryable").asBoolean()).isTrue();
            assertThat(RunningServer.json(refused).get("detail").asText()).contains("the database says");
            var unsure = until(() -> server.send(Call.json("POST", kept + "/steps", STEP)), answer -> answer.statusCode() == 503);
            assertThat(RunningServer.json(unsure).get("detail").asText()).contains("lease");
            long at = RunningServer.json(server.send(Call.of("GET", kept))).get("step").asLong();
            assertThat(server.send(Call.json("POST", "/v1/sessions", session("snapshot", 1))).statusCode()).isEqualTo(503);
            assertThat(taken.get()).as("steps of the session that keeps nothing").isGreaterThan(before);

            postgres.start();
            var goesOn = until(() -> server.send(Call.json("POST", kept + "/steps", STEP)), answer -> answer.statusCode() == 200);
            assertThat(RunningServer.json(goesOn).get("step").asLong()).isEqualTo(at + 1);
            until(() -> server.send(Call.of("POST", asked + "/snapshots")), answer -> answer.statusCode() == 201);
            until(() -> {
                step(server, kept);
                return server.send(Call.of("GET", kept));
            }, answer -> RunningServer.json(answer).get("durable_step").asLong() > at);
            stop.set(true);
            stepping.get(60, TimeUnit.SECONDS);
            assertThat(RunningServer.json(server.send(Call.of("GET", fleeting))).get("step").asLong()).isEqualTo(taken.get());
        }
    }

    private static String session(String durability, int every) {
        return "{\"optimizer\": {\"name\": \"sgd\", \"lr\": 0.1}, \"tensors\": [{\"name\": \"w\", \"shape\": [3]}], \"durability\": \""
                + durability + "\", \"snapshot_every\": " + every + "}";
    }

    private static void step(RunningServer server, String session) {
        assertThat(server.send(Call.json("POST", session + "/steps", STEP)).statusCode()).isEqualTo(200);
    }

    private static HttpResponse<byte[]> until(Supplier<HttpResponse<byte[]>> question, Predicate<HttpResponse<byte[]>> right) {
        long end = System.nanoTime() + Duration.ofSeconds(60).toNanos();
        var answer = question.get();
        while (!right.test(answer)) {
            assertThat(System.nanoTime()).as("still %d %s", answer.statusCode(), new String(answer.body())).isLessThan(end);
            LockSupport.parkNanos(Duration.ofMillis(50).toNanos());
            answer = question.get();
        }
        return answer;
    }
}
