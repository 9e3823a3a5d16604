package dev.stepd.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.device.cuda.ShimDevices;
import dev.stepd.engine.Training.Tensor;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// The same bits as on the processor where a tile no longer holds all of a run: partial results of long rows, tall columns and large
/// tensors, blocks longer than a tile, and bodies in several chunks.
@Tag("gpu")
@Execution(ExecutionMode.CONCURRENT)
class LargeTensorsOnCudaTest {
    private static final List<Tensor> TENSORS = List.of(
            Tensor.of("large", 140_000),
            Tensor.of("wide", 2, 66_001),
            Tensor.of("tall", 5_000, 7),
            Tensor.of("chunks", 65 * 1024 + 1),
            Tensor.of("kernel", 16, 8, 3, 3));

    @BeforeAll
    static void findDevice() {
        assumeTrue(ShimDevices.shared().isPresent(), "there is no CUDA device, nor a shim");
    }

    static List<Map<String, Object>> optimizers() {
        return List.of(
                Map.of("name", "adamw"),
                Map.of("name", "lamb"),
                Map.of("name", "scale"),
                Map.of("name", "subset_norm"),
                Map.of("name", "nero"),
                Map.of("name", "adamp"),
                Map.of("name", "novograd"),
                Map.of("name", "prodigy"),
                Map.of("name", "stable_spam"),
                Map.of("name", "adamw", "state", Map.of("format", "int8")),
                Map.of("name", "adamw", "state", Map.of("format", "int8", "block_size", 4096)),
                Map.of("name", "adamw", "state", Map.of("format", "int8", "block_size", 100)),
                Map.of("name", "adamw", "state", Map.of("format", "int4", "convention", "torchao")),
                Map.of("name", "adamw", "state", Map.of("format", "bf16", "seed", 3)));
    }

    @ParameterizedTest
    @MethodSource("optimizers")
    void stepAsOnTheProcessor(Map<String, Object> optimizer) {
        var blueprint = Training.blueprint(TENSORS, optimizer, List.of(), null, null);
        try (var here = new Training(new CpuDevice(1L << 28, 1), TENSORS, blueprint);
                var there = new Training(ShimDevices.openInPieces().getFirst(), TENSORS, blueprint)) {
            for (var training : List.of(here, there)) {
                training.step();
                training.step(List.of("large", "tall", "kernel"));
            }
            assertThat(there.stepper().lastGradNorm()).isEqualTo(here.stepper().lastGradNorm());
            var its = there.bits();
            here.bits().forEach((key, bits) -> assertThat(its.get(key).equals(bits)).as(key).isTrue());
        }
    }
}
