package dev.stepd.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.engine.Training.Tensor;
import dev.stepd.tensor.Shape;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/// What ADAHESSIAN makes of a tensor's number of dimensions.
class AdaHessianTest {
    private static Tensor tensor(String name, long... extents) {
        return new Tensor(name, Shape.of(extents), 7, 0);
    }

    @Test
    void onlyKernelsAreAveraged() {
        var tensors = List.of(
                tensor("vector", 24), tensor("matrix", 6, 4), tensor("three", 2, 3, 4), tensor("five", 1, 2, 3, 2, 2),
                tensor("kernel", 2, 3, 2, 2), tensor("empty", 2, 0, 3, 3));
        try (var training = Training.of(tensors, Map.of("name", "adahessian"))) {
            for (int t = 0; t < 3; t++) {
                training.step();
            }
            assertThat(training.bits("matrix")).isEqualTo(training.bits("vector"));
            assertThat(training.bits("three")).isEqualTo(training.bits("vector"));
            assertThat(training.bits("five")).isEqualTo(training.bits("vector"));
            var averaged = slot(training, "kernel");
            assertThat(averaged).isNotEqualTo(slot(training, "vector"));
            for (int i = 0; i < averaged.length; i++) {
                assertThat(averaged[i]).isEqualTo(averaged[i / 4 * 4]);
            }
        }
    }

    private static float[] slot(Training training, String tensor) {
        var slots = training.stepper().slots().stream().filter(p -> p.key().equals(tensor + "#exp_hessian_diag_sq"));
        return Values.floats(slots.findFirst().orElseThrow().array());
    }
}
