package dev.stepd.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.stepd.device.Device;
import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.device.cuda.ShimDevices;
import dev.stepd.device.cuda.shim.CudaShim;
import dev.stepd.engine.Devices;
import dev.stepd.engine.Engine;
import dev.stepd.error.ErrorCode;
import dev.stepd.store.jdbc.JdbcSnapshotStore;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Isolated;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/// A GPU whose context is lost takes its own sessions along and nothing else: every call that meets the error ends with the reason,
/// gives back what it took, and the session lives on elsewhere from its snapshot.
@Isolated
class LostDeviceTest {
    private static final int LAUNCH_FAILED = 719;
    private static final int INVALID_VALUE = 1;
    private static final int OUT_OF_MEMORY = 2;
    /// More than one launch of everything does.
    private static final int ELEMENTS = 300_000;
    private static final String DESCRIPTION = """
            {"optimizer": {"name": "adamw", "lr": 0.1}, "average": {"name": "ema"}, "durability": "snapshot", "device": "%s",
             "tensors": [{"name": "w", "shape": [%d]}]}""";

    @TempDir
    Path folder;

    private static CudaShim shim;

    private CpuDevice cpu;
    private Server server;

    @BeforeAll
    static void load() {
        assumeTrue(CudaShim.available());
        shim = CudaShim.load();
    }

    @BeforeEach
    void start() {
        shim.reset();
        shim.devices(2);
        server = fresh();
    }

    private Server fresh() {
        cpu = new CpuDevice(1 << 28, 2);
        var all = new ArrayList<Device>(List.of(cpu));
        all.addAll(ShimDevices.open());
        return new Server(JdbcSnapshotStore.h2(folder), Server.LIMITS, new Engine(new Devices(all, "")));
    }

    @AfterEach
    void stop() {
        server.close();
        shim.reset();
    }

    private static byte[] body(int elements, int step) {
        var w = new float[elements];
        for (int i = 0; i < w.length; i++) {
            w[i] = (i % 17 - 8) * 0.01f * step;
        }
        return Server.body("w", w);
    }

    private Session create(String device, int elements) {
        var session = server.create(DESCRIPTION.formatted(device, elements));
        Server.upload(session, body(elements, 3));
        Server.step(session, 1, body(elements, 1));
        return session;
    }

    private static Arguments met(String function, String where, Consumer<Session> call) {
        return Arguments.of(function, where, call);
    }

    static Stream<Arguments> calls() {
        return Stream.of(
                met("cuLaunchKernel", "a step", session -> Server.step(session, 2, body(ELEMENTS, 2))),
                met("cuMemcpyHtoDAsync", "a step's copy in", session -> Server.step(session, 2, body(ELEMENTS, 2))),
                met("cuEventSynchronize", "the end of a step", session -> Server.step(session, 2, body(ELEMENTS, 2))),
                met("cuMemcpyDtoHAsync", "parameters after a step", session -> {
                    var body = body(ELEMENTS, 2);
                    var order = new StepOrder(OptionalLong.of(2), false, StepOrder.Return.PARAMETERS, body.length);
                    Server.step(session, order, body);
                }),
                met("cuMemcpyDtoHAsync", "a download of parameters", session -> Server.sent(session.parameters())),
                met("cuLaunchKernel", "an average", session -> Server.sent(session.average("ema"))),
                met("cuMemAlloc", "an average's memory", session -> Server.sent(session.average("ema"))),
                met("cuMemcpyDtoHAsync", "a download of state", session -> Server.sent(session.state())),
                met("cuMemcpyDtoHAsync", "a digest", session -> Server.get(session.digest())),
                met("cuMemcpyDtoHAsync", "a snapshot", session -> Server.get(session.snapshot())),
                met("cuMemcpyHtoDAsync", "an upload", session -> Server.upload(session, body(ELEMENTS, 1))),
                met("cuMemcpyHtoDAsync", "a restore", session -> Server.get(session.restore(session.snapshots().getLast().id()))),
                met("cuMemcpyHtoDAsync", "an import", session -> {
                    var state = Server.sent(session.state());
                    Server.put(session.receiveState(state.length), state);
                }));
    }

    @ParameterizedTest(name = "{0} in {1}")
    @MethodSource("calls")
    void everyCallThatMeetsItSaysSoAndTheOthersGoOn(String function, String where, Consumer<Session> call) {
        var other = create("cuda:0", ELEMENTS);
        var near = create("cpu", ELEMENTS);
        var idle = create("cuda:1", 10);
        var session = create("cuda:1", ELEMENTS);
        var taken = Server.get(session.snapshot());

        shim.failOnce(function, 1, LAUNCH_FAILED);
        assertThat(catchThrowable(() -> call.accept(session))).as(where)
                .satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(ErrorCode.CONFLICT))
                .hasMessageContaining("cuda:1 is lost until stepd restarts: " + function + " failed: CUDA_ERROR_LAUNCH_FAILED (719)")
                .hasMessageContaining("restore one of its snapshots on another device, such as cpu, or delete it");
        for (var lost : List.of(session, idle)) {
            assertThat(lost.status().status()).startsWith("failed: cuda:1 is lost until stepd restarts: ");
            assertThat(catchThrowable(() -> Server.step(lost, 2, body(10, 2)))).hasMessageContaining("cuda:1 is lost");
            assertThat(catchThrowable(() -> Server.get(lost.digest()))).hasMessageContaining("cuda:1 is lost");
        }
        Server.step(near, 2, body(ELEMENTS, 2));
        assertThat(Server.step(other, 2, body(ELEMENTS, 2)).step()).isEqualTo(2);

        assertThat(Server.get(session.restore(taken.id(), "cpu")).digest()).isEqualTo(taken.digest());
        Server.step(session, 2, body(ELEMENTS, 2));
        assertThat(Server.get(session.digest())).isEqualTo(Server.get(near.digest())).isEqualTo(Server.get(other.digest()));
        for (var one : List.of(session, idle, other, near)) {
            server.sessions.delete(one.id());
        }
        assertThat(cpu.memory().freeBytes()).as("nothing was left behind").isEqualTo(cpu.memory().capacityBytes());
    }

    @Test
    void aBodyUnderWayWhenItsDeviceIsLostIsRefusedAndGivenBack() {
        var session = create("cuda:1", 700_000);
        var body = body(700_000, 2);
        try (var incoming = session.receiveStep(Server.order(2, body))) {
            shim.failOnce("cuMemcpyHtoDAsync", 1, LAUNCH_FAILED);
            for (int at = 0; at < body.length; at += 50_001) {
                incoming.write(ByteBuffer.wrap(body, at, Math.min(50_001, body.length - at)));
            }
            assertThat(session.status().status()).as("met while the body was fetched").startsWith("failed: cuda:1 is lost");
            assertThat(catchThrowable(() -> Server.get(incoming.finish()))).hasMessageContaining("cuda:1 is lost");
        }
        server.sessions.delete(session.id());
        assertThat(cpu.memory().freeBytes()).isEqualTo(cpu.memory().capacityBytes());
    }

    @Test
    void whatTheContextTookAlongIsGivenBackWithoutAnError() {
        var session = create("cuda:1", ELEMENTS);
        shim.failFrom("cuCtxSetCurrent", 1, LAUNCH_FAILED); // of threads that come to the device anew
        shim.failOnce("cuLaunchKernel", 1, LAUNCH_FAILED);
        assertThat(catchThrowable(() -> Server.step(session, 2, body(ELEMENTS, 2)))).hasMessageContaining("cuda:1 is lost");
        Thread.ofVirtual().start(() -> catchThrowable(() -> server.sessions.delete(session.id()))); // the end may come first
        server.sessions.close();
        assertThat(server.sessions.count()).isZero();
    }

    @Test
    void newSessionsGoElsewhereUnlessTheyNameIt() {
        shim.failOnce("cuMemAlloc", 1, LAUNCH_FAILED);
        assertThat(catchThrowable(() -> create("cuda:1", 10)))
                .satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(ErrorCode.DEVICE_UNAVAILABLE))
                .hasMessageContaining("device is cuda:1, but cuda:1 is lost until stepd restarts: cuMemAlloc failed")
                .hasMessageContaining("name another, this server has [cpu, cuda:0, cuda:1]");
        assertThat(create("auto", 10).status().device()).isEqualTo("cuda:0");
        assertThat(create("cuda", 10).status().device()).isEqualTo("cuda:0");
        shim.failOnce("cuMemAlloc", 1, LAUNCH_FAILED);
        assertThat(create("auto", 10).status().device()).as("met while it was created").isEqualTo("cpu");
        assertThat(catchThrowable(() -> create("cuda", 10))).hasMessageContaining("cuda:0 is lost").hasMessageContaining("cuda:1 is lost");
    }

    @Test
    void autoIsRestoredWhereThereIsRoomAndANamedDeviceIsNot() {
        var hog = create("cuda:0", ELEMENTS);
        var auto = create("auto", 10);
        var named = create("cuda:1", 10);
        assertThat(auto.status().device()).isEqualTo("cuda:1");
        var taken = Server.get(auto.snapshot());
        var takenToo = Server.get(named.snapshot());
        shim.failOnce("cuLaunchKernel", 1, LAUNCH_FAILED);
        assertThat(catchThrowable(() -> Server.step(named, 2, body(10, 2)))).isNotNull();
        assertThat(Server.get(auto.restore(taken.id()))).isEqualTo(new Session.Digest(1, taken.digest()));
        assertThat(auto.status().device()).isEqualTo("cuda:0");
        assertThat(auto.status().status()).isEqualTo("ready");
        assertThat(catchThrowable(() -> Server.get(named.restore(takenToo.id()))))
                .satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(ErrorCode.DEVICE_UNAVAILABLE));
        server.sessions.delete(hog.id());

        server.close(); // and the device is back when the server is
        shim.reset();
        shim.devices(2);
        server = fresh();
        var again = server.sessions.find(named.id());
        assertThat(again.status().device()).isEqualTo("cuda:1");
        assertThat(again.status().step()).as("the newest snapshot's").isEqualTo(1);
        assertThat(Server.get(again.digest()).digest()).isEqualTo(takenToo.digest());
    }

    @Test
    void aChangeThatBreaksOffHalfWayFailsItsSessionOnly() {
        var session = create("cuda:1", ELEMENTS);
        var neighbour = create("cuda:1", ELEMENTS);
        var taken = Server.get(session.snapshot());
        shim.failOnce("cuMemcpyHtoDAsync", 1, INVALID_VALUE);
        assertThat(catchThrowable(() -> Server.upload(session, body(ELEMENTS, 5)))).hasMessageContaining("CUDA_ERROR_INVALID_VALUE");
        assertThat(session.status().status()).isEqualTo("failed: an upload of parameters broke off");
        Server.step(neighbour, 2, body(ELEMENTS, 2));
        Server.get(session.restore(taken.id()));
        Server.step(session, 2, body(ELEMENTS, 2));
        assertThat(Server.get(session.digest())).isEqualTo(Server.get(neighbour.digest()));
        assertThat(session.status().device()).isEqualTo("cuda:1");
    }

    @ParameterizedTest
    @CsvSource({"cuMemAlloc, bytes of memory on cuda:1", "cuMemHostAlloc, bytes of pinned memory for cuda:1",
        "cuModuleLoadData, cuda:1 has no memory left for kernels"})
    void withoutMemoryNothingStays(String function, String said) {
        int refusals = 0;
        for (int call = 1; call <= 12; call++) {
            try (var devices = new Devices(ShimDevices.open().stream().map(Device.class::cast).toList(), "")) {
                var sessions = new Sessions(new Engine(devices), server.store, server.journals, Server.LIMITS);
                long before = shim.balance();
                shim.failOnce(function, call, OUT_OF_MEMORY);
                var refused = catchThrowable(() -> sessions.create(Server.object(DESCRIPTION.formatted("cuda:1", ELEMENTS))));
                shim.failOnce(function, 1_000_000, OUT_OF_MEMORY);
                if (refused != null) {
                    refusals++;
                    assertThat(Server.codeOf(refused)).isEqualTo(ErrorCode.OUT_OF_MEMORY);
                    assertThat(refused).hasMessageContaining(said);
                    devices.all().forEach(device ->
                            assertThat(device.memory().freeBytes()).isEqualTo(device.memory().capacityBytes()));
                    assertThat(shim.balance() - before).as("streams, slabs and modules stay").isBetween(0L, 6L);
                }
                sessions.close();
            }
        }
        assertThat(refusals).isPositive();
    }
}
