package dev.stepd.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.device.cpu.CpuDevice;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// The same bits as on the processor, where there is enough of everything for every multiprocessor: sums over millions of elements,
/// tables of thousands of tiles, bodies that go chunk by chunk.
@Tag("gpu")
@Execution(ExecutionMode.CONCURRENT)
class CudaAtScaleTest {
    private static final int STEPS = 3;
    private static final CpuDevice CPU = new CpuDevice(16L << 30, 2);

    static Stream<Map<String, Object>> optimizers() {
        return CudaSubjects.every();
    }

    @ParameterizedTest
    @MethodSource("optimizers")
    void computesTheBitsOfTheProcessor(Map<String, Object> optimizer) {
        var tensors = CudaSubjects.tensors();
        try (var here = new BulkTraining(CPU, tensors, optimizer, 1);
                var there = new BulkTraining(CudaSubjects.device(), tensors, optimizer, 1)) {
            for (int t = 1; t <= STEPS; t++) {
                here.step();
                there.step();
                assertThat(there.differences(here)).as("step %d of %s", t, optimizer).isEmpty();
            }
        }
    }

    @AfterAll
    static void close() {
        CPU.close();
    }
}
