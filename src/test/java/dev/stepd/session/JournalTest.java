package dev.stepd.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.stepd.error.ErrorCode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// What a session with a journal is after a kill at any moment: where it was, to the bit.
class JournalTest {
    private static final String ADAM = """
            {"name": "kept", "optimizer": {"name": "adamw", "lr": 0.1}, "durability": "%s", "snapshot_every": %d,
             "groups": [{"match": "v", "weight_decay": 0}],
             "schedule": {"name": "cosine", "total_steps": 40}, "clip": {"global_norm": 2},
             "tensors": [{"name": "v", "shape": [1]}, {"name": "w", "shape": [3]}]}""";
    private static final int NEVER = 1_000_000;

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

    private Session create(String durability, int snapshotEvery) {
        var session = server.create(ADAM.formatted(durability, snapshotEvery));
        Server.upload(session, gradient(3));
        return session;
    }

    private static void steps(Session session, int from, int to) {
        for (int step = from; step <= to; step++) {
            assertThat(Server.step(session, step, gradient(step)).durableStep()).isEqualTo(step);
        }
    }

    private Session kill(Session session) {
        return kill(session, 1 << 20);
    }

    private Session kill(Session session, long segmentBytes) {
        Server.settle(session);
        server.kill();
        server = new Server(folder, segmentBytes);
        return server.sessions.find(session.id());
    }

    private List<Path> files(Session session) throws IOException {
        try (var files = Files.list(folder.resolve("journal").resolve(session.id()))) {
            return files.sorted().toList();
        }
    }

    private void assertLikeUndisturbed(Session session, int steps) {
        var twin = create("none", NEVER);
        for (int step = 1; step <= steps; step++) {
            Server.step(twin, step, gradient(step));
        }
        assertThat(Server.get(session.digest())).isEqualTo(Server.get(twin.digest()));
    }

    @ParameterizedTest
    @ValueSource(ints = {3, 7, NEVER})
    void goesOnAfterEveryKillAsIfNothingHadHappened(int snapshotEvery) {
        var session = create("journal", snapshotEvery);
        for (int step = 1; step <= 24; step++) {
            var first = Server.step(session, step, gradient(step));
            if (step % 5 < 2) {
                session = kill(session, step % 2 == 0 ? 1 : 1 << 20);
                assertThat(session.status().step()).isEqualTo(step);
                assertThat(session.status().durableStep()).isEqualTo(step);
                assertThat(session.status().status()).isEqualTo("ready");
                var again = Server.step(session, step, gradient(step));
                assertThat(again.replayed()).isTrue();
                assertThat(again.deltas()).isEqualTo(first.deltas());
                assertThat(again.gradNorm()).isEqualTo(first.gradNorm());
                var restarted = session;
                int number = step;
                assertThatThrownBy(() -> Server.step(restarted, number, gradient(number + 1)))
                        .satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(ErrorCode.STEP_BODY_DIFFERS));
            }
        }
        assertLikeUndisturbed(session, 24);
    }

    @Test
    void repeatsTheLastAnswerAfterAGoodbye() {
        var session = create("journal", NEVER);
        steps(session, 1, 4);
        var first = Server.step(session, 5, gradient(5));
        server.close();
        server = new Server(folder);
        var back = server.sessions.find(session.id());
        assertThat(back.status().step()).isEqualTo(5);
        var again = Server.step(back, 5, gradient(5));
        assertThat(again.replayed()).isTrue();
        assertThat(again.deltas()).isEqualTo(first.deltas());
        steps(back, 6, 9);
        assertLikeUndisturbed(kill(back), 9);
    }

    @Test
    void takesStepsAgainAsTheSettingsOfTheirTimeSaid() {
        var session = create("journal", NEVER);
        var twin = create("none", NEVER);
        for (var one : List.of(session, twin)) {
            for (int step = 1; step <= 12; step++) {
                Server.step(one, step, gradient(step));
                if (step == 4) {
                    Server.get(one.patch(Server.object("{\"optimizer\": {\"lr\": 0.01}}")));
                }
                if (step == 8) {
                    Server.upload(one, gradient(2));
                }
            }
        }
        var back = kill(session);
        assertThat(Server.get(back.digest())).isEqualTo(Server.get(twin.digest()));
        assertThat(back.status().description().get("optimizer").toString()).contains("lr=0.01");
    }

    @Test
    void keepsWhichTensorsStayedBehind() {
        var session = create("journal", NEVER);
        steps(session, 1, 2);
        var partial = new StepOrder(OptionalLong.of(3), true, StepOrder.Return.DELTA, -1);
        var first = Server.step(session, partial, Server.body("v", new float[] {1}));
        var before = Server.get(session.digest());
        var back = kill(session);
        assertThat(Server.get(back.digest())).isEqualTo(before);
        assertThat(((LiveSession) back.life()).stepper().tensorSteps()).containsExactly(3L, 2L);
        var again = Server.step(back, partial, Server.body("v", new float[] {1}));
        assertThat(again.deltas()).isEqualTo(first.deltas());
    }

    @Test
    void isWhereARestoreLeftIt() {
        var session = create("journal", NEVER);
        steps(session, 1, 2);
        var early = Server.get(session.snapshot());
        steps(session, 3, 6);
        Server.get(session.restore(early.id()));
        assertThat(session.status().durableStep()).isEqualTo(2);
        assertThat(kill(session).status().step()).isEqualTo(2);
        var back = server.sessions.find(session.id());
        steps(back, 3, 5);
        assertLikeUndisturbed(kill(back), 5);
    }

    @Test
    void aRefusedStepLeavesNothing() {
        var session = create("journal", NEVER);
        steps(session, 1, 2);
        var broken = Server.body("w", new float[] {Float.NaN, 0, 0}, "v", new float[] {0});
        assertThatThrownBy(() -> Server.step(session, 3, broken))
                .satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(ErrorCode.NON_FINITE));
        assertThat(session.status().durableStep()).isEqualTo(2);
        var back = kill(session);
        assertThat(Server.step(back, 2, gradient(2)).replayed()).isTrue();
        steps(back, 3, 5);
        assertLikeUndisturbed(kill(back), 5);
    }

    @Test
    void aTornEndIsCut() throws IOException {
        var session = create("journal", NEVER);
        steps(session, 1, 6);
        var file = files(session).getLast();
        var whole = Files.readAllBytes(file);
        for (int cut : new int[] {1, 8, 60, 100}) {
            server.kill();
            Files.write(file, java.util.Arrays.copyOf(whole, whole.length - cut));
            server = new Server(folder);
            var back = server.sessions.find(session.id());
            assertThat(back.status().step()).isEqualTo(5);
            assertThat(back.status().status()).isEqualTo("ready");
            assertThat(Server.step(back, 5, gradient(5)).replayed()).isTrue();
        }
        var back = server.sessions.find(session.id());
        steps(back, 6, 8);
        assertLikeUndisturbed(kill(back), 8);
    }

    @Test
    void damageInTheMiddleStopsAtTheLastGoodStepAndIsTold() throws IOException {
        var session = create("journal", NEVER);
        steps(session, 1, 6);
        Server.settle(session);
        server.kill();
        var file = files(session).getLast();
        var bytes = Files.readAllBytes(file);
        bytes[bytes.length - 400] ^= 4; // of the six records, one of those in the middle
        Files.write(file, bytes);
        server = new Server(folder);
        var back = server.sessions.find(session.id());
        int good = (int) back.status().step();
        assertThat(good).isBetween(1, 5);
        assertThat(back.status().status()).isEqualTo("ready; journal damaged after step " + good);
        assertThat(Server.step(back, good, gradient(good)).replayed()).isTrue();
        Server.settle(back);
        assertThat(files(back)).anyMatch(one -> one.toString().endsWith(".damaged-after-" + good));
        steps(back, good + 1, 8);
        var again = kill(back);
        assertThat(again.status().step()).isEqualTo(8);
        assertThat(again.status().status()).isEqualTo("ready; journal damaged after step " + good);
        assertLikeUndisturbed(again, 8);
    }

    @Test
    void neverStartsColdWithoutItsJournal() throws IOException {
        var session = create("journal", NEVER);
        steps(session, 1, 3);
        Server.settle(session);
        server.kill();
        for (var file : files(session)) {
            Files.delete(file);
        }
        server = new Server(folder);
        var back = server.sessions.find(session.id());
        assertThat(back.status().status()).startsWith("failed: the journal behind step 0 is not in this data folder");
        assertThatThrownBy(() -> Server.step(back, 1, gradient(1)))
                .satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(ErrorCode.CONFLICT));
        Server.get(back.restore(back.snapshots().getLast().id()));
        steps(back, 1, 3);
        assertLikeUndisturbed(kill(back), 3);
    }

    @Test
    void aSnapshotDropsWhatItCovers() throws IOException {
        var session = create("journal", NEVER);
        steps(session, 1, 5);
        Server.get(session.snapshot());
        assertThat(files(session)).singleElement().satisfies(file -> assertThat(file.getFileName().toString()).startsWith("0000000000000006-"));
        var newest = session.snapshots().getLast().id();
        assertThatThrownBy(() -> session.deleteSnapshot(newest)).hasMessageContaining("goes on from snapshot " + newest);
        server.sessions.delete(session.id());
        assertThat(folder.resolve("journal").resolve(session.id())).doesNotExist();
    }
}
