package dev.stepd.server;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.server.ServerProcess.Answer;
import dev.stepd.store.jdbc.Postgres;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Two servers, processes of their own, on one PostgreSQL: at any time one of them has a session, and only that one writes it.
class TwoServersTest {
    private static final String SESSION =
            "{\"optimizer\": {\"name\": \"adamw\"}, \"tensors\": [{\"name\": \"w\", \"shape\": [3]}], \"snapshot_every\": 1}";
    private static final String STEP = "{\"gradients\": {\"w\": [1, -1, 0.5]}}";
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    @TempDir
    Path folder;

    private final String url = Postgres.newDatabase();

    private ServerProcess start(String name) throws Exception {
        return ServerProcess.start(folder, Map.of("STEPD_DB", url, "STEPD_DB_USER", Postgres.USER, "STEPD_DB_PASSWORD", Postgres.PASSWORD),
                "--data", folder.resolve(name).toString(), "--db-lease", "3s");
    }

    @Test
    void aStoppedServerLosesItsSessionsAndWritesNoMore() throws Exception {
        try (var first = start("a"); var second = start("b")) {
            var path = "/v1/sessions/" + first.send("POST", "/v1/sessions", SESSION).body().get("id").asText();
            assertThat(first.send("PUT", path + "/parameters", "{\"parameters\": {\"w\": [1, 2, 3]}}").status()).isEqualTo(200);
            for (int i = 0; i < 3; i++) {
                assertThat(first.send("POST", path + "/steps", STEP).status()).isEqualTo(200);
            }
            first.send("POST", path + "/snapshots", "");
            var digest = first.get(path + "/digest").body();

            until(() -> second.get(path), answer -> answer.status() == 200 && answer.body().get("status").asText().startsWith("elsewhere"));
            assertNotOwner(second.send("POST", path + "/steps", STEP));
            assertNotOwner(second.send("DELETE", path, ""));
            assertThat(first.get(path).body().get("status").asText()).isEqualTo("ready");

            first.stop();
            until(() -> second.get(path), answer -> answer.body().get("status").asText().equals("ready"));
            assertThat(second.get(path + "/digest").body()).isEqualTo(digest);
            assertThat(second.send("POST", path + "/steps", STEP).status()).isEqualTo(200);
            var snapshot = second.send("POST", path + "/snapshots", "");
            assertThat(snapshot.status()).isEqualTo(201);
            var later = second.get(path + "/digest").body();

            first.goOn();
            // between waking and hearing from the database it cannot know, and after that it knows
            var refused = first.send("POST", path + "/steps", STEP);
            assertThat(refused.status()).isIn(409, 503);
            assertThat(first.send("POST", path + "/snapshots", "").status()).isIn(409, 503);
            assertThat(first.send("DELETE", path, "").status()).isIn(409, 503);
            until(() -> first.send("POST", path + "/steps", STEP), answer -> answer.status() == 409);
            assertNotOwner(first.send("POST", path + "/steps", STEP));
            until(() -> first.get(path), answer -> answer.status() == 200 && answer.body().get("status").asText().startsWith("elsewhere"));
            assertThat(first.end()).isZero();

            assertThat(second.get(path + "/digest").body()).isEqualTo(later);
            assertThat(second.get(path + "/snapshots").body().at("/snapshots").findValuesAsText("id")).contains(snapshot.body().get("id").asText());
            assertThat(second.send("POST", path + "/steps", STEP).status()).isEqualTo(200);
            assertThat(second.end()).isZero();
        }
    }

    @Test
    void whatAServerLeavesTheOtherTakesUp() throws Exception {
        try (var first = start("a"); var second = start("b")) {
            var path = "/v1/sessions/" + first.send("POST", "/v1/sessions", SESSION).body().get("id").asText();
            first.send("PUT", path + "/parameters", "{\"parameters\": {\"w\": [1, 2, 3]}}");
            assertThat(first.send("POST", path + "/steps", STEP).status()).isEqualTo(200);
            var digest = first.get(path + "/digest").body();
            assertThat(first.end()).isZero();
            until(() -> second.get(path), answer -> answer.status() == 200 && answer.body().get("status").asText().equals("ready"));
            assertThat(second.get(path + "/digest").body()).isEqualTo(digest);
            assertThat(second.send("DELETE", path, "").status()).isEqualTo(204);
            assertThat(second.log()).doesNotContain("ERROR").doesNotContain("password");
        }
    }

    private static void assertNotOwner(Answer answer) {
        assertThat(answer.status()).isEqualTo(409);
        assertThat(answer.body().get("type").asText()).endsWith("/not-owner");
        assertThat(answer.body().get("owner").asText()).isNotEmpty();
    }

    /// Asks again and again until the answer is as it should become.
    private static void until(Supplier<Answer> question, Predicate<Answer> right) {
        long end = System.nanoTime() + PATIENCE.toNanos();
        var answer = question.get();
        while (!right.test(answer)) {
            assertThat(System.nanoTime()).as("still %s", answer).isLessThan(end);
            LockSupport.parkNanos(Duration.ofMillis(50).toNanos());
            answer = question.get();
        }
    }
}
