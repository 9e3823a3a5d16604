package dev.stepd.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.stepd.device.DistantDevice;
import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.engine.Devices;
import dev.stepd.engine.Engine;
import dev.stepd.error.ErrorCode;
import dev.stepd.store.jdbc.JdbcSnapshotStore;
import dev.stepd.tensor.Bodies;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.Part;
import dev.stepd.tensor.SafetensorsMessage;
import dev.stepd.tensor.Shape;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/// A session on a device whose memory the host cannot address gives, byte for byte, what one on the processor does: steps, downloads,
/// digests, snapshots; and moves between them through its snapshots.
class DistantSessionTest {
    private static final int ELEMENTS = 300;
    private static final String ADAM = """
            {"optimizer": {"name": "adamw", "lr": 0.1}, "durability": "snapshot", "device": "%s",
             "tensors": [{"name": "w", "shape": [300]}, {"name": "b", "shape": [3]}]}""";
    private static final String CODED = """
            {"optimizer": {"name": "adamw", "lr": 0.1}, "state": {"format": "int8", "min_size": 64, "slots": {"slow": "f32", "average": "bf16"}},
             "average": {"name": "ema", "decay": 0.9}, "clip": {"global_norm": 1}, "durability": "snapshot", "device": "%s",
             "wrap": [{"name": "lookahead", "k": 2}],
             "tensors": [{"name": "w", "shape": [300], "dtype": "F32"}, {"name": "b", "shape": [3]}]}""";
    private static final String INPUTS = """
            {"optimizer": {"name": "sophia_g", "lr": 0.1}, "durability": "snapshot", "device": "%s",
             "tensors": [{"name": "w", "shape": [300]}, {"name": "b", "shape": [3]}]}""";

    @TempDir
    Path folder;

    private Server server;
    private DistantDevice device;

    @BeforeEach
    void start() {
        server = withDistant();
    }

    @AfterEach
    void stop() {
        server.close();
    }

    private Server withDistant() {
        var cpu = new CpuDevice(1 << 28, 2);
        device = new DistantDevice("cuda:0", 1 << 26, cpu.host());
        return server(new Devices(List.of(device, cpu), "there is one"));
    }

    private Server withoutDistant() {
        return server(new Devices(List.of(new CpuDevice(1 << 28, 2)), "no NVIDIA driver: install it"));
    }

    private Server server(Devices devices) {
        return new Server(JdbcSnapshotStore.h2(folder), Server.LIMITS, new Engine(devices));
    }

    private static byte[] body(int step) {
        var w = new float[ELEMENTS];
        for (int i = 0; i < w.length; i++) {
            w[i] = (i % 17 - 8) * 0.01f * step;
        }
        return Server.body("w", w, "b", new float[] {step, -0.5f, 0.25f});
    }

    private Session create(String description, String device) {
        var session = server.create(description.formatted(device));
        Server.upload(session, body(3));
        return session;
    }

    @ParameterizedTest
    @ValueSource(strings = {ADAM, CODED, INPUTS})
    void givesWhatTheProcessorGives(String description) {
        var distant = create(description, "cuda");
        var near = create(description, "cpu");
        assertThat(distant.status().device()).isEqualTo("cuda:0");
        assertThat(near.status().device()).isEqualTo("cpu");
        for (int step = 1; step <= 5; step++) {
            assertThat(Server.step(distant, step, body(step))).usingRecursiveComparison().ignoringFields("durableStep")
                    .isEqualTo(Server.step(near, step, body(step)));
        }
        var partial = Server.body("b", new float[] {1, 2, 3});
        var order = new StepOrder(OptionalLong.of(6), true, StepOrder.Return.PARAMETERS, partial.length);
        assertThat(Server.step(distant, order, partial).deltas()).isEqualTo(Server.step(near, order, partial).deltas());
        assertThat(Server.get(distant.digest())).isEqualTo(Server.get(near.digest()));
        assertThat(Server.sent(distant.parameters())).isEqualTo(Server.sent(near.parameters()));
        assertThat(Server.sent(distant.state())).isEqualTo(Server.sent(near.state()));
        assertThat(Server.sent(distant.plainState())).isEqualTo(Server.sent(near.plainState()));
        if (description.equals(CODED)) {
            assertThat(Server.sent(distant.average("ema"))).isEqualTo(Server.sent(near.average("ema")));
        }
    }

    @Test
    void takesStateFromElsewhere() {
        var near = create(CODED, "cpu");
        Server.step(near, 1, body(1));
        var distant = create(CODED, "cuda:0");
        Server.upload(distant, Server.sent(near.parameters()));
        var state = Server.sent(near.state());
        Server.put(distant.receiveState(state.length), state);
        assertThat(Server.get(distant.digest())).isEqualTo(Server.get(near.digest()));
        assertThat(Server.step(distant, 2, body(2)).deltas()).isEqualTo(Server.step(near, 2, body(2)).deltas());
    }

    @ParameterizedTest
    @ValueSource(strings = {ADAM, CODED})
    void goesBackToASnapshot(String description) {
        var session = create(description, "cuda");
        Server.step(session, 1, body(1));
        var snapshot = Server.get(session.snapshot());
        assertThat(snapshot.digest()).isEqualTo(Server.get(session.digest()).digest());
        var first = Server.step(session, 2, body(2)).deltas();
        Server.get(session.restore(snapshot.id()));
        assertThat(Server.step(session, 2, body(2)).deltas()).isEqualTo(first);
    }

    @Test
    void autoMovesToTheProcessorAndBackWithTheSameBits() {
        var distant = create(CODED, "auto");
        var near = create(CODED, "cpu");
        for (int step = 1; step <= 9; step++) {
            if (step == 4 || step == 7) {
                server.close();
                server = step == 4 ? withoutDistant() : withDistant();
                distant = server.sessions.find(distant.id());
                near = server.sessions.find(near.id());
                assertThat(distant.status().device()).isEqualTo(step == 4 ? "cpu" : "cuda:0");
            }
            assertThat(Server.step(distant, step, body(step)).deltas()).isEqualTo(Server.step(near, step, body(step)).deltas());
        }
        assertThat(Server.get(distant.digest())).isEqualTo(Server.get(near.digest()));
    }

    @Test
    void aSessionThatNamesADeviceWaitsForIt() {
        var session = create(ADAM, "cuda:0");
        Server.step(session, 1, body(1));
        var digest = Server.get(session.digest());
        server.close();
        server = withoutDistant();
        var lost = server.sessions.find(session.id()).status();
        assertThat(lost.device()).isEqualTo("cuda:0");
        assertThat(lost.status()).startsWith("failed: device is cuda:0, this server has [cpu]: no NVIDIA driver: install it");
        server.close();
        server = withDistant();
        assertThat(Server.get(server.sessions.find(session.id()).digest())).isEqualTo(digest);
    }

    @Test
    void aSessionWhoseDeviceIsGoneIsRestoredOnAnother() {
        var session = create(CODED, "cuda:0");
        Server.step(session, 1, body(1));
        var taken = Server.get(session.snapshot());
        server.close();
        server = withoutDistant();
        var lost = server.sessions.find(session.id());
        assertThat(lost.status().status()).contains("or name another with the restore");
        assertThat(catchThrowable(() -> Server.get(lost.restore(taken.id())))).hasMessageContaining("device is cuda:0");
        assertThat(catchThrowable(() -> Server.get(lost.restore(taken.id(), "cpus")))).hasMessageContaining("did you mean \"cpu\"?");
        assertThat(Server.get(lost.restore(taken.id(), "cpu"))).isEqualTo(new Session.Digest(1, taken.digest()));
        assertThat(lost.status().device()).isEqualTo("cpu");
        Server.step(lost, 2, body(2));
        var digest = Server.get(lost.digest());
        server.close();
        server = withDistant();
        assertThat(server.sessions.find(session.id()).status().device()).isEqualTo("cpu");
        assertThat(Server.get(server.sessions.find(session.id()).digest())).isEqualTo(digest);
    }

    @ParameterizedTest
    @ValueSource(strings = {ADAM, CODED})
    void aRestoreMovesALiveSession(String description) {
        var session = create(description, "cuda");
        Server.step(session, 1, body(1));
        var taken = Server.get(session.snapshot());
        var second = Server.step(session, 2, body(2)).deltas();
        try (var late = session.receiveStep(Server.order(3, body(3)))) {
            late.write(ByteBuffer.wrap(body(3)));
            assertThat(Server.get(session.restore(taken.id(), "cpu")).digest()).isEqualTo(taken.digest());
            assertThat(catchThrowable(() -> Server.get(late.finish())))
                    .satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(ErrorCode.UNAVAILABLE));
        }
        assertThat(session.status().device()).isEqualTo("cpu");
        assertThat(device.memory().freeBytes()).isEqualTo(device.memory().capacityBytes());
        assertThat(Server.get(session.digest()).digest()).isEqualTo(taken.digest());
        assertThat(Server.step(session, 2, body(2)).deltas()).isEqualTo(second);
        Server.get(session.restore(taken.id(), "cuda:0"));
        assertThat(Server.step(session, 2, body(2)).deltas()).isEqualTo(second);
        assertThat(session.status().device()).isEqualTo("cuda:0");
        server.kill();
        server = withDistant();
        assertThat(server.sessions.find(session.id()).status().step()).isEqualTo(1);
        assertThat(server.sessions.find(session.id()).status().device()).isEqualTo("cuda:0");
    }

    @Test
    void aMoveThatCannotBeChangesNothing() {
        var session = create(ADAM, "cuda");
        Server.step(session, 1, body(1));
        var taken = Server.get(session.snapshot());
        Server.step(session, 2, body(2));
        assertThat(catchThrowable(() -> Server.get(session.restore(taken.id(), "cuda:4"))))
                .satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(ErrorCode.DEVICE_UNAVAILABLE));
        assertThat(catchThrowable(() -> Server.get(session.restore("absent", "cpu"))))
                .satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(ErrorCode.NOT_FOUND));
        assertThat(Server.step(session, 3, body(3)).step()).isEqualTo(3);
        assertThat(session.status().device()).isEqualTo("cuda:0");
    }

    @Test
    void storesWithoutMainMemoryForACopy() {
        var cpu = new CpuDevice(1_100_000, 2);
        server.close();
        server = server(new Devices(List.of(new DistantDevice("cuda:0", 1 << 26, cpu.host()), cpu), "there is one"));
        var session = server.create("""
                {"optimizer": {"name": "sgd", "momentum": 0.9}, "durability": "snapshot", "snapshot_every": 2, "device": "cuda",
                 "tensors": [{"name": "w", "shape": [100000]}]}""");
        var gradient = Server.body("w", new float[100_000]);
        for (int step = 1; step <= 3; step++) {
            Server.step(session, step, gradient);
        }
        Server.settle(session);
        assertThat(session.status().durableStep()).isEqualTo(2);
    }

    @Test
    void givesEveryByteBack() {
        var cpu = new CpuDevice(1 << 26, 2);
        var device = new DistantDevice("cuda:0", 1 << 26, cpu.host());
        server.close();
        server = server(new Devices(List.of(device, cpu), "there is one"));
        var session = create(CODED, "auto");
        Server.step(session, 1, body(1));
        Server.sent(session.average("ema"));
        Server.sent(session.plainState());
        server.sessions.delete(session.id());
        assertThat(device.memory().freeBytes()).isEqualTo(device.memory().capacityBytes());
        assertThat(cpu.memory().freeBytes()).isEqualTo(cpu.memory().capacityBytes());
    }

    static final String LARGE = """
            {"optimizer": {"name": "sgd", "lr": 1, "momentum": 0.5}, "durability": "none", "device": "%s",
             "tensors": [{"name": "w", "shape": [700000]}, {"name": "b", "shape": [3]}]}""";

    static byte[] large(DType dtype, int seed) {
        try (var arena = Arena.ofConfined()) {
            var values = arena.allocate(700_000L * dtype.bytes(), 8);
            for (long i = 0; i < values.byteSize(); i++) {
                values.set(ValueLayout.JAVA_BYTE, i, (byte) (i % 59 + seed));
            }
            var few = arena.allocateFrom(ValueLayout.JAVA_FLOAT, seed, -seed, 0.5f);
            return Bodies.sent(SafetensorsMessage.of(List.of(
                    new Part("w", dtype, Shape.of(700_000), values), new Part("b", DType.F32, Shape.of(3), few)), Map.of()));
        }
    }

    static void send(Incoming<StepAnswer> incoming, byte[] body, int from, int to) {
        for (int at = from; at < to; at += 50_001) {
            incoming.write(ByteBuffer.wrap(body, at, Math.min(50_001, to - at)));
        }
    }

    static Server.Reply stepInChunks(Session session, int number, byte[] body) {
        try (var incoming = session.receiveStep(Server.order(number, body))) {
            send(incoming, body, 0, body.length);
            return Server.reply(Server.get(incoming.finish()));
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "F16", "BF16"})
    void fetchesABodyWhileItArrives(DType dtype) {
        var distant = server.create(LARGE.formatted("cuda"));
        var near = server.create(LARGE.formatted("cpu"));
        for (int step = 1; step <= 3; step++) {
            var body = large(dtype, step);
            assertThat(stepInChunks(distant, step, body).deltas()).isEqualTo(Server.step(near, step, body).deltas());
        }
        assertThat(device.fetchedEarly()).isGreaterThan(3 * 2_000_000).isLessThanOrEqualTo(3 * 2_800_012);
    }

    @Test
    void stepsWhatCameWhicheverBodyWasFetched() {
        var distant = server.create(LARGE.formatted("cuda"));
        var near = server.create(LARGE.formatted("cpu"));
        var first = large(DType.F32, 1);
        var second = large(DType.F32, 2);
        var lost = large(DType.F32, 3);
        try (var cut = distant.receiveStep(Server.order(1, lost))) {
            send(cut, lost, 0, lost.length / 2);
        }
        try (var early = distant.receiveStep(Server.order(0, second))) {
            send(early, second, 0, second.length / 2);
            assertThat(stepInChunks(distant, 1, first).deltas()).isEqualTo(Server.step(near, 1, first).deltas());
            send(early, second, second.length / 2, second.length);
            assertThat(Server.reply(Server.get(early.finish())).deltas()).isEqualTo(Server.step(near, 2, second).deltas());
        }
        assertThat(stepInChunks(distant, 2, second).replayed()).isTrue();
        assertThat(stepInChunks(distant, 3, first).deltas()).isEqualTo(Server.step(near, 3, first).deltas());
        assertThat(device.fetchedEarly()).isPositive();
    }

    @Test
    void refusesADeviceThatIsNotThere() {
        assertThat(catchThrowable(() -> server.create(ADAM.formatted("cuda:3"))))
                .satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(ErrorCode.DEVICE_UNAVAILABLE))
                .hasMessageContaining("device is cuda:3, this server has [cuda:0, cpu]");
    }
}
