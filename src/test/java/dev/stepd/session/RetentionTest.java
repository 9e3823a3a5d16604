package dev.stepd.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.stepd.error.ErrorCode;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Which snapshots stay, whose child each is, and what one adds to the database.
class RetentionTest {
    private static final String SGD = """
            {"optimizer": {"name": "sgd", "lr": 1, "momentum": 0.9}, "durability": "%s", "snapshot_every": 2, "snapshots": %s,
             "tensors": [{"name": "v", "shape": [2]}, {"name": "w", "shape": [100000]}]}""";

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

    private Session create(String durability, String retention) {
        return server.create(SGD.formatted(durability, retention));
    }

    /// Steps on, each snapshot written before the next step.
    private static void stepsTo(Session session, long last) {
        while (session.status().step() < last) {
            var w = new float[100_000];
            java.util.Arrays.fill(w, session.status().step());
            Server.step(session, 0, Server.body("v", new float[] {1, 2}, "w", w));
            Server.get(session.digest()); // behind what follows a step
            Server.settle(session);
        }
    }

    private static List<Long> kept(Session session) {
        return session.snapshots().stream().map(Session.SnapshotInfo::step).toList();
    }

    @Test
    void keepsTheNewestAndOneForEachMultiple() {
        var session = create("snapshot", "{\"keep_last\": 3, \"keep_every\": 5}");
        stepsTo(session, 24);
        assertThat(kept(session)).containsExactly(6L, 10L, 16L, 20L, 22L, 24L);
        Server.get(session.patch(Server.object("{\"snapshots\": {\"keep_last\": 1, \"keep_every\": 8}}")));
        stepsTo(session, 26);
        assertThat(kept(session)).as("what is gone stays gone").containsExactly(16L, 24L, 26L);
        Server.get(session.patch(Server.object("{\"snapshots\": null}")));
        assertThat(session.status().description().get("snapshots").toString()).isEqualTo("{keep_last=2, keep_every=null}");
        stepsTo(session, 30);
        assertThat(kept(session)).containsExactly(28L, 30L);
    }

    @Test
    void keepsWhatWasAskedForUnlessItIsNotPinned() {
        var session = create("snapshot", "{\"keep_last\": 1}");
        stepsTo(session, 1);
        var pinned = Server.get(session.snapshot());
        var loose = Server.get(session.snapshot(false));
        assertThat(pinned.pinned()).isTrue();
        assertThat(loose.pinned()).isFalse();
        stepsTo(session, 4);
        assertThat(kept(session)).containsExactly(1L, 3L);
        var automatic = session.snapshots().getLast();
        assertThat(session.pinSnapshot(automatic.id(), true).pinned()).isTrue();
        assertThat(session.pinSnapshot(pinned.id(), false).pinned()).isFalse();
        stepsTo(session, 8);
        assertThat(kept(session)).containsExactly(3L, 7L);
        assertThatThrownBy(() -> session.pinSnapshot(pinned.id(), true)).satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(ErrorCode.NOT_FOUND));
    }

    @Test
    void keepsTheNewestThoughOthersArePinned() {
        var session = create("none", "{\"keep_last\": 1}");
        for (int step = 1; step <= 3; step++) {
            stepsTo(session, step);
            Server.get(session.snapshot(step == 2));
        }
        assertThat(kept(session)).containsExactly(2L, 3L);
    }

    @Test
    void tellsParentsThroughRestoresDeletionsAndRestarts() {
        var session = create("none", "null");
        stepsTo(session, 1);
        var first = Server.get(session.snapshot());
        assertThat(first.parent()).isEmpty();
        stepsTo(session, 2);
        var second = Server.get(session.snapshot());
        assertThat(second.parent()).isEqualTo(first.id());
        Server.get(session.restore(first.id()));
        stepsTo(session, 3);
        var branch = Server.get(session.snapshot());
        assertThat(branch.parent()).isEqualTo(first.id());
        session.deleteSnapshot(first.id());
        assertThat(session.snapshots()).extracting(Session.SnapshotInfo::parent).containsExactly(first.id(), first.id());
        server.close();
        server = new Server(folder);
        var back = server.sessions.find(session.id());
        stepsTo(back, 4);
        assertThat(Server.get(back.snapshot()).parent()).isEqualTo(branch.id());
    }

    @Test
    void addsOnlyWhatChanged() {
        var session = create("none", "null");
        var first = Server.get(session.snapshot());
        assertThat(first.bytes()).isEqualTo(100_002 * 4);
        assertThat(Server.get(session.snapshot()).storedBytes()).isZero();
        Server.upload(session, Server.body("v", new float[] {1, 2}, "w", new float[100_000]));
        var withParameters = Server.get(session.snapshot());
        assertThat(withParameters.bytes()).isEqualTo(2 * 100_002 * 4);
        assertThat(withParameters.storedBytes()).as("w, v and v's momentum; w's momentum is there, and so is w").isLessThan(100);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            {"keep_last": 0}          | snapshots.keep_last is 0, expected a whole number of at least 1
            {"keep_every": 0.5}       | snapshots.keep_every is 0.5, expected a whole number of at least 1
            {"keep": 2}               | keep
            7                         | snapshots is 7, expected a JSON object
            """)
    void refusesWhatItCannotDo(String retention, String message) {
        assertThatThrownBy(() -> create("none", retention)).hasMessageContaining(message);
        var session = create("none", "null");
        assertThatThrownBy(() -> Server.get(session.patch(Map.of("snapshots", Server.object("{\"x\": " + retention + "}").get("x")))))
                .hasMessageContaining(message);
    }
}
