package dev.stepd.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.device.cuda.ShimDevices;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// The same bits on the CUDA device as on the processor: every optimizer in every format, whole steps and partial ones, tensors of
/// awkward sizes.
@Tag("gpu")
@Execution(ExecutionMode.CONCURRENT)
class EveryFormatOnCudaTest {
    @BeforeAll
    static void findDevice() {
        assumeTrue(ShimDevices.shared().isPresent(), "there is no CUDA device, nor a shim");
    }

    static Stream<Map<String, Object>> optimizers() {
        return Stream.concat(Training.optimizers(), EveryFormatTest.optimizers());
    }

    @ParameterizedTest
    @MethodSource("optimizers")
    void stepsAsOnTheProcessor(Map<String, Object> optimizer) {
        var blueprint = Training.blueprint(EveryFormatTest.TENSORS, optimizer, List.of(), null, null);
        try (var here = new Training(new CpuDevice(1L << 28, 1), EveryFormatTest.TENSORS, blueprint);
                var inPieces = new Training(ShimDevices.openInPieces().getFirst(), EveryFormatTest.TENSORS, blueprint);
                var atOnce = new Training(ShimDevices.open().getFirst(), EveryFormatTest.TENSORS, blueprint)) {
            for (int round = 0; round < 2; round++) {
                for (var training : List.of(here, inPieces, atOnce)) {
                    training.step();
                    training.step(List.of("odd", "kernel", "small"));
                }
            }
            assertThat(inPieces.bits()).isEqualTo(here.bits());
            assertThat(atOnce.bits()).isEqualTo(here.bits());
        }
    }
}
