package dev.stepd.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.stepd.error.ErrorCode;
import java.nio.file.Path;
import java.sql.DriverManager;
import java.util.List;
import java.util.OptionalLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// What a session is after its process ended, by goodbye or by a kill, and after a restore.
class RestartTest {
    private static final String ADAM = """
            {"name": "kept", "optimizer": {"name": "adamw", "lr": 0.1}, "durability": "%s", "snapshot_every": 5,
             "groups": [{"match": "v", "weight_decay": 0}],
             "schedule": {"name": "cosine", "total_steps": 40}, "clip": {"global_norm": 2},
             "tensors": [{"name": "v", "shape": [1]}, {"name": "w", "shape": [3]}]}""";

    @TempDir
    Path folder;

    private Server server;

    @BeforeEach
    void start() {
        server = new Server(folder);
    }

    @AfterEach
    void stop() {
        server.close();
    }

    private static byte[] gradient(int step) {
        return Server.body("w", new float[] {step, 0.5f * step, -1}, "v", new float[] {0.1f * step});
    }

    private Session create(String durability) {
        var session = server.create(ADAM.formatted(durability));
        Server.upload(session, gradient(3));
        return session;
    }

    private static void steps(Session session, int from, int to) {
        for (int step = from; step <= to; step++) {
            Server.step(session, step, gradient(step));
        }
    }

    private Session restart(Session session) {
        server.close();
        server = new Server(folder);
        return server.sessions.find(session.id());
    }

    private Session kill(Session session) {
        server.kill();
        server = new Server(folder);
        return server.sessions.find(session.id());
    }

    @Test
    void goesOnAfterARestartAsIfNothingHadHappened() {
        var session = create("snapshot");
        for (int step = 1; step <= 30; step++) {
            if (step % 7 == 0) {
                session = restart(session);
                assertThat(session.status().step()).isEqualTo(step - 1);
                assertThat(session.status().durableStep()).isEqualTo(step - 1);
            }
            Server.step(session, step, gradient(step));
        }
        var twin = create("none");
        steps(twin, 1, 30);
        assertThat(Server.get(session.digest())).isEqualTo(Server.get(twin.digest()));
        assertThat(session.status().description()).containsEntry("name", "kept");
    }

    @Test
    void isAtItsDurableStepAfterAKill() {
        var session = create("snapshot");
        steps(session, 1, 12);
        Server.settle(session);
        long durable = session.status().durableStep();
        assertThat(durable).isBetween(5L, 12L);
        var back = kill(session);
        assertThat(back.status().step()).isEqualTo(durable);
        assertThat(back.status().durableStep()).isEqualTo(durable);
        assertThatThrownBy(() -> Server.step(back, durable, gradient((int) durable)))
                .satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(ErrorCode.STEP_MISMATCH));
        steps(back, (int) durable + 1, 12);
        var twin = create("none");
        steps(twin, 1, 12);
        assertThat(Server.get(back.digest())).isEqualTo(Server.get(twin.digest()));
    }

    @Test
    void keepsWhichTensorsStayedBehind() {
        var session = create("snapshot");
        steps(session, 1, 2);
        var partial = new StepOrder(OptionalLong.of(3), true, StepOrder.Return.DELTA, -1);
        Server.step(session, partial, Server.body("v", new float[] {1}));
        var before = Server.get(session.digest());
        var back = restart(session);
        assertThat(Server.get(back.digest())).isEqualTo(before);
        assertThat(((LiveSession) back.life()).stepper().tensorSteps()).containsExactly(3L, 2L);
    }

    @Test
    void keepsUploadedParametersThroughAKillBeforeTheFirstStep() {
        var session = create("snapshot");
        var back = kill(session);
        assertThat(back.status().hasParameters()).isTrue();
        assertThat(Server.read(back.parameters()).get("w")).containsExactly(3f, 1.5f, -1f);
        assertThat(back.status().step()).isZero();
    }

    @Test
    void takesASnapshotEverySoManySteps() {
        var session = create("snapshot");
        for (int step = 1; step <= 11; step++) {
            steps(session, step, step);
            Server.settle(session);
        }
        assertThat(session.status().durableStep()).isEqualTo(10);
        assertThat(session.snapshots()).extracting(Session.SnapshotInfo::step).containsExactly(5L, 10L);
    }

    @Test
    void forgetsWhatPromisedNoDurabilityUnlessItWasSnapshot() {
        var gone = create("none");
        var kept = create("none");
        steps(kept, 1, 3);
        Server.get(kept.snapshot());
        steps(kept, 4, 5);
        var back = restart(kept);
        assertThat(back.status().step()).isEqualTo(3);
        assertThatThrownBy(() -> server.sessions.find(gone.id())).hasMessageContaining("no session");
    }

    @Test
    void provesARestore() {
        var session = create("none");
        steps(session, 1, 4);
        var digest = Server.get(session.digest());
        var snapshot = Server.get(session.snapshot());
        assertThat(snapshot.step()).isEqualTo(4);
        assertThat(snapshot.digest()).isEqualTo(digest.digest());
        steps(session, 5, 9);
        assertThat(Server.get(session.restore(snapshot.id()))).isEqualTo(digest);
        assertThat(Server.get(session.digest())).isEqualTo(digest);
        assertThat(session.status().step()).isEqualTo(4);
        assertThat(Server.read(session.snapshotData(snapshot.id()))).containsKeys("w", "v", "w#exp_avg", "v#exp_avg_sq");
        session.deleteSnapshot(snapshot.id());
        assertThat(session.snapshots()).isEmpty();
        for (var id : List.of(snapshot.id(), "nothing")) {
            assertThatThrownBy(() -> Server.get(session.restore(id)))
                    .satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(ErrorCode.NOT_FOUND));
            assertThatThrownBy(() -> Server.get(session.snapshotData(id))).hasMessageContaining("has no snapshot " + id);
            assertThatThrownBy(() -> session.deleteSnapshot(id)).hasMessageContaining("has no snapshot " + id);
        }
    }

    @Test
    void isWhereARestoreLeftItAfterAKill() {
        var session = create("snapshot");
        steps(session, 1, 2);
        var early = Server.get(session.snapshot());
        steps(session, 3, 9);
        Server.get(session.snapshot());
        Server.get(session.restore(early.id()));
        assertThat(session.status().durableStep()).isEqualTo(2);
        var back = kill(session);
        assertThat(back.status().step()).isEqualTo(2);
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "UPDATE chunks SET data = X'00' || SUBSTRING(data FROM 2)",
        "UPDATE chunks SET data = SUBSTRING(data FROM 2)",
        "UPDATE chunks SET encoding = 'zstd'",
        "UPDATE chunks SET encoding = 'other'",
        "UPDATE chunks SET byte_count = byte_count - 1",
        "DELETE FROM chunk_uses",
        "UPDATE snapshots SET step = step + 1",
        "UPDATE snapshots SET manifest = '{}'",
        "UPDATE snapshots SET manifest = 'nonsense'",
        "UPDATE snapshots SET program_hash = 'sha256:other'",
    })
    void neverGoesOnFromADamagedSnapshot(String damage) throws Exception {
        var session = create("snapshot");
        steps(session, 1, 3);
        Server.get(session.snapshot());
        server.close();
        try (var connection = DriverManager.getConnection("jdbc:h2:file:" + folder.resolve("stepd"), "stepd", "");
                var statement = connection.createStatement()) {
            statement.executeUpdate(damage);
        }
        server = new Server(folder);
        var back = server.sessions.find(session.id());
        assertThat(back.status().status()).startsWith("failed: snapshot ");
        assertThat(back.status().id()).isEqualTo(session.id());
        assertThatThrownBy(() -> Server.step(back, 4, gradient(4)))
                .satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(ErrorCode.CONFLICT));
        assertThatThrownBy(() -> Server.get(back.restore(back.snapshots().getLast().id())))
                .satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(ErrorCode.CONFLICT));
        server.sessions.delete(back.id());
        assertThat(server.store.sessions()).isEmpty();
    }

    @Test
    void comesBackFromAnOlderSnapshotOnRequest() throws Exception {
        var session = create("snapshot");
        steps(session, 1, 3);
        var good = Server.get(session.snapshot());
        steps(session, 4, 4);
        var bad = Server.get(session.snapshot());
        server.close();
        try (var connection = DriverManager.getConnection("jdbc:h2:file:" + folder.resolve("stepd"), "stepd", "");
                var delete = connection.prepareStatement("DELETE FROM chunk_uses WHERE snapshot_id = ?")) {
            delete.setString(1, bad.id());
            delete.executeUpdate();
        }
        server = new Server(folder);
        var back = server.sessions.find(session.id());
        assertThat(back.status().status()).startsWith("failed: snapshot " + bad.id() + " is damaged: chunk 0 is missing, in array v; ")
                .contains("to be restored is snapshot " + good.id() + " of step 3");
        assertThat(Server.get(back.restore(good.id())).digest()).isEqualTo(good.digest());
        assertThat(back.status().status()).isEqualTo("ready");
        steps(back, 4, 6);
    }

    @Test
    void changesNothingWhenARestoreFails() throws Exception {
        var session = create("none");
        steps(session, 1, 2);
        var snapshot = Server.get(session.snapshot());
        steps(session, 3, 3);
        var before = Server.get(session.digest());
        server.store.deleteSnapshot(session.id(), snapshot.id());
        assertThatThrownBy(() -> Server.get(session.restore(snapshot.id()))).hasMessageContaining("has no snapshot");
        assertThat(Server.get(session.digest())).isEqualTo(before);
    }

    @Test
    void keepsAPatchThroughAKill() {
        var session = create("snapshot");
        steps(session, 1, 2);
        Server.get(session.patch(Server.object("{\"optimizer\": {\"weight_decay\": 0, \"lr\": 0.5}, \"schedule\": null}")));
        var digest = Server.get(session.digest());
        var back = kill(session);
        assertThat(back.status().status()).isEqualTo("ready");
        assertThat(back.status().description().toString()).contains("lr=0.5", "weight_decay=0").doesNotContain("cosine");
        steps(back, (int) back.status().step() + 1, 5);
        assertThat(digest.step()).isEqualTo(2);
    }

    @Test
    void deletesEverythingOfASession() {
        var session = create("snapshot");
        steps(session, 1, 6);
        Server.get(session.snapshot());
        long free = server.engine.hostMemory().freeBytes();
        server.sessions.delete(session.id());
        assertThat(server.engine.hostMemory().freeBytes()).isGreaterThan(free);
        assertThat(server.store.sessions()).isEmpty();
        assertThat(server.store.snapshots(session.id())).isEmpty();
        assertThatThrownBy(() -> server.sessions.delete(session.id())).hasMessageContaining("no session");
        assertThatThrownBy(() -> Server.step(session, 7, gradient(7)))
                .satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(ErrorCode.NOT_FOUND));
    }
}
