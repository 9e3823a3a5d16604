package dev.stepd.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.device.Device;
import dev.stepd.device.cpu.CpuDevice;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// A session that moves between GPU and processor whenever it likes ends with the bits of one that stayed.
@Tag("gpu")
class MovedSessionTest {
    private static final int STEPS = 24;
    private static final long SEED = 11;

    static Stream<Map<String, Object>> optimizers() {
        return CudaSubjects.some();
    }

    @ParameterizedTest
    @MethodSource("optimizers")
    void endsWithTheSameBits(Map<String, Object> optimizer) {
        try (var cpu = new CpuDevice(2L << 30, 2); var stayed = on(cpu, optimizer)) {
            stayed.steps(STEPS);
            var moved = travel(List.of(cpu, CudaSubjects.device()), optimizer);
            try (moved) {
                assertThat(moved.differences(stayed)).isEmpty();
            }
        }
    }

    private static BulkTraining travel(List<Device> devices, Map<String, Object> optimizer) {
        var random = new SplittableRandom(SEED);
        int where = 1;
        var session = on(devices.get(where), optimizer);
        for (int t = 1; t <= STEPS; t++) {
            if (random.nextInt(3) == 0 || t == STEPS / 2) {
                where = 1 - where;
                var next = on(devices.get(where), optimizer);
                try (var left = session) {
                    next.resumeFrom(left);
                }
                session = next;
            }
            session.step();
        }
        return session;
    }

    private static BulkTraining on(Device device, Map<String, Object> optimizer) {
        return new BulkTraining(device, CudaSubjects.tensors(), optimizer, SEED);
    }
}
