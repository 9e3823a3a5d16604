package dev.stepd.session;

import static dev.stepd.session.DistantSessionTest.LARGE;
import static dev.stepd.session.DistantSessionTest.large;
import static dev.stepd.session.DistantSessionTest.send;
import static dev.stepd.session.DistantSessionTest.stepInChunks;
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
import dev.stepd.tensor.DType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Isolated;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// Bodies that a GPU fetches while they arrive, on a driver that copies when it likes: whatever becomes of them, steps are as on the
/// processor.
@Isolated
class AheadOnCudaTest {
    @TempDir
    Path folder;

    private CudaShim shim;
    private CpuDevice cpu;
    private Server server;
    private Session gpu;
    private Session near;

    @BeforeEach
    void start() {
        assumeTrue(CudaShim.available());
        shim = CudaShim.load();
        shim.reset();
        cpu = new CpuDevice(1 << 28, 2);
        var all = new ArrayList<Device>(List.of(cpu));
        all.addAll(ShimDevices.open());
        server = new Server(JdbcSnapshotStore.h2(folder), Server.LIMITS, new Engine(new Devices(all, "")));
        gpu = server.create(LARGE.formatted("cuda"));
        near = server.create(LARGE.formatted("cpu"));
    }

    @AfterEach
    void stop() {
        if (server != null) {
            server.close();
            assertThat(shim.message()).isEmpty();
            shim.reset();
        }
    }

    private void assertSame(int step, byte[] body) {
        assertThat(stepInChunks(gpu, step, body).deltas()).isEqualTo(Server.step(near, step, body).deltas());
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "F16", "BF16"})
    void aBodyIsFetchedBeforeItsEnd(DType dtype) {
        for (int step = 1; step <= 3; step++) {
            var body = large(dtype, step);
            long copies = shim.calls("cuMemcpyHtoDAsync");
            try (var incoming = gpu.receiveStep(Server.order(step, body))) {
                send(incoming, body, 0, body.length - 1000);
                assertThat(shim.calls("cuMemcpyHtoDAsync")).isGreaterThan(copies);
                send(incoming, body, body.length - 1000, body.length);
                assertThat(Server.reply(Server.get(incoming.finish())).deltas()).isEqualTo(Server.step(near, step, body).deltas());
            }
        }
        assertThat(Server.get(gpu.digest())).isEqualTo(Server.get(near.digest()));
    }

    @Test
    void whatWasCutOrOvertakenIsForgotten() {
        var cutOff = large(DType.F32, 9);
        for (int step = 1; step <= 5; step += 2) {
            try (var cut = gpu.receiveStep(Server.order(step, cutOff))) {
                send(cut, cutOff, 0, cutOff.length / step);
            }
            var second = large(DType.F32, step + 1);
            try (var early = gpu.receiveStep(Server.order(0, second))) {
                send(early, second, 0, second.length / 2);
                assertSame(step, large(DType.F32, step));
                send(early, second, second.length / 2, second.length);
                assertThat(Server.reply(Server.get(early.finish())).deltas()).isEqualTo(Server.step(near, step + 1, second).deltas());
            }
        }
        assertThat(stepInChunks(gpu, 6, large(DType.F32, 6)).replayed()).isTrue();
        assertSame(7, large(DType.F32, 7));
    }

    @Test
    void whatIsRefusedChangesNothing() {
        var poisoned = large(DType.F32, 1);
        for (int i = poisoned.length - 4_000; i < poisoned.length - 3_996; i++) {
            poisoned[i] = (byte) 0xff; // NaN
        }
        for (int step = 1; step <= 3; step++) {
            int number = step;
            assertThat(catchThrowable(() -> stepInChunks(gpu, number, poisoned)))
                    .satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(ErrorCode.NON_FINITE));
            assertSame(step, large(DType.F32, step));
            var other = large(DType.F32, step + 20);
            assertThat(catchThrowable(() -> stepInChunks(gpu, number, other)))
                    .satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(ErrorCode.STEP_BODY_DIFFERS));
        }
        assertThat(Server.get(gpu.digest())).isEqualTo(Server.get(near.digest()));
    }

    @Test
    void aSessionDeletedWhileItsBodyArrivesLeavesNothing() {
        var body = large(DType.F32, 1);
        try (var incoming = gpu.receiveStep(Server.order(1, body))) {
            send(incoming, body, 0, body.length / 2);
            server.sessions.delete(gpu.id());
            send(incoming, body, body.length / 2, body.length);
            assertThat(catchThrowable(() -> Server.get(incoming.finish())))
                    .satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(ErrorCode.NOT_FOUND));
        }
        server.sessions.delete(near.id());
        assertThat(cpu.memory().freeBytes()).isEqualTo(cpu.memory().capacityBytes());
    }
}
