package dev.stepd.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.engine.Engine;
import dev.stepd.error.ErrorCode;
import dev.stepd.store.jdbc.JdbcSnapshotStore;
import dev.stepd.store.journal.Journals;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.OptionalLong;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.Tuple;
import org.jspecify.annotations.Nullable;

/// The protocol of step numbers of a session with a journal, against a model of a few lines that kills, snapshots, restores and sleep
/// do not touch: whatever happens in whatever order, what was answered holds, also the last answer itself.
class DurableProtocolTest {
    private static final String SUM = """
            {"optimizer": {"name": "sgd", "lr": 1, "momentum": 1}, "durability": "journal", "snapshot_every": 7,
             "tensors": [{"name": "w", "shape": [1]}]}""";
    private static final long SEGMENT_BYTES = 600;

    private enum Action {
        STEP,
        STEP_AGAIN,
        OTHER_BODY,
        TOO_FAR,
        KILL,
        GOODBYE,
        SNAPSHOT,
        RESTORE_OLDEST,
        CHANGE,
        SLEEP
    }

    /// What a client knows.
    private static final class Model {
        long step;
        float momentum;
        float lr = 1;
        @Nullable Float lastBody;
        float lastDelta;
        final List<float[]> snapshots = new ArrayList<>();
    }

    @Property(tries = 40)
    void holdsThroughEverything(@ForAll("actions") List<Action> actions) throws IOException {
        var folder = Files.createTempDirectory("stepd-protocol");
        var server = serve(folder);
        try {
            var session = server.create(SUM);
            var model = new Model();
            for (var action : actions) {
                if (action == Action.KILL || action == Action.GOODBYE) {
                    server = again(server, session, folder, action);
                    session = server.sessions.find(session.id());
                } else {
                    perform(session, model, action);
                }
                assertThat(session.status().step()).isEqualTo(model.step);
                assertThat(session.status().status()).isEqualTo("ready");
            }
        } finally {
            server.close();
            remove(folder);
        }
    }

    @Provide
    Arbitrary<List<Action>> actions() {
        return Arbitraries.frequency(
                        Tuple.of(12, Action.STEP), Tuple.of(4, Action.STEP_AGAIN), Tuple.of(1, Action.OTHER_BODY), Tuple.of(1, Action.TOO_FAR),
                        Tuple.of(3, Action.KILL), Tuple.of(1, Action.GOODBYE), Tuple.of(2, Action.SNAPSHOT),
                        Tuple.of(1, Action.RESTORE_OLDEST), Tuple.of(1, Action.CHANGE), Tuple.of(2, Action.SLEEP))
                .list().ofMinSize(5).ofMaxSize(40);
    }

    private static void perform(Session session, Model model, Action action) {
        switch (action) {
            case STEP -> {
                model.lastBody = 1 + model.step % 3f;
                model.momentum += model.lastBody;
                model.lastDelta = -model.lr * model.momentum;
                model.step++;
                assertAnswered(session, model, false);
            }
            case STEP_AGAIN -> {
                if (model.lastBody == null) {
                    assertRefused(session, model.step, 1, ErrorCode.STEP_MISMATCH);
                } else {
                    assertAnswered(session, model, true);
                }
            }
            case OTHER_BODY -> assertRefused(session, model.step, -1,
                    model.lastBody == null ? ErrorCode.STEP_MISMATCH : ErrorCode.STEP_BODY_DIFFERS);
            case TOO_FAR -> assertRefused(session, model.step + 2, 1, ErrorCode.STEP_MISMATCH);
            case SNAPSHOT -> {
                assertThat(Server.get(session.snapshot()).step()).isEqualTo(model.step);
                model.snapshots.add(new float[] {model.step, model.momentum});
            }
            case RESTORE_OLDEST -> restoreOldest(session, model);
            case CHANGE -> {
                model.lr = model.lr == 1 ? 0.5f : 1;
                Server.get(session.patch(Server.object("{\"optimizer\": {\"lr\": " + model.lr + "}}")));
            }
            case SLEEP -> {
                var live = (LiveSession) session.life();
                Server.get(live.ask(() -> live.residence().leave()));
            }
            case KILL, GOODBYE -> throw new IllegalStateException("not of the session");
        }
    }

    /// Of those that were asked for; others are between them.
    private static void restoreOldest(Session session, Model model) {
        if (model.snapshots.isEmpty()) {
            return;
        }
        var at = model.snapshots.getFirst();
        var oldest = session.snapshots().stream().filter(info -> info.step() == (long) at[0] && info.pinned()).findFirst().orElseThrow();
        assertThat(Server.get(session.restore(oldest.id())).step()).isEqualTo((long) at[0]);
        model.step = (long) at[0];
        model.momentum = at[1];
        model.lastBody = null;
    }

    private static void assertAnswered(Session session, Model model, boolean replayed) {
        var reply = step(session, model.step, model.lastBody);
        assertThat(reply.step()).isEqualTo(model.step);
        assertThat(reply.durableStep()).isEqualTo(model.step);
        assertThat(reply.replayed()).isEqualTo(replayed);
        assertThat(reply.deltas().get("w")).containsExactly(model.lastDelta);
    }

    private static Server.Reply step(Session session, long number, float gradient) {
        return Server.step(session, new StepOrder(OptionalLong.of(number), false, StepOrder.Return.DELTA, -1),
                Server.body("w", new float[] {gradient}));
    }

    private static void assertRefused(Session session, long number, float gradient, ErrorCode code) {
        assertThatThrownBy(() -> step(session, number, gradient)).satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(code));
    }

    private static Server serve(Path folder) {
        return new Server(JdbcSnapshotStore.h2(folder), new Journals(folder.resolve("journal"), SEGMENT_BYTES), Server.LIMITS,
                new Engine(new CpuDevice(1 << 24, 1)), folder.resolve("spool"));
    }

    private static Server again(Server server, Session session, Path folder, Action how) {
        if (how == Action.GOODBYE) {
            server.close();
        } else {
            Server.settle(session);
            server.kill();
        }
        return serve(folder);
    }

    private static void remove(Path folder) throws IOException {
        try (var files = Files.walk(folder)) {
            for (var file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }
}
