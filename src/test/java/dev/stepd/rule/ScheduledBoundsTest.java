package dev.stepd.rule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.engine.Engine;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.Shape;
import dev.stepd.tensor.TensorSpec;
import java.lang.foreign.ValueLayout;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/// A schedule of the learning rate moves AdaBound's final rate as well: bounds that have closed leave nothing else.
class ScheduledBoundsTest {
    private static final Engine.Blueprint CLOSED = new Engine.Blueprint(
            List.of(new TensorSpec("w", new Shape(List.of(1L)), DType.F32)),
            Map.of("name", "adabound", "lr", 0.1, "final_lr", 0.5, "gamma", 1e9),
            List.of(),
            Map.of("name", "linear", "total_steps", 4),
            null,
            Engine.NonFinite.REJECT);

    @Test
    void finalRateFollowsTheSchedule() {
        try (var engine = new Engine(new CpuDevice(1 << 20, 1));
                var stepper = engine.create(CLOSED);
                var body = engine.hostMemory().allocate(Float.BYTES, "a body")) {
            double mean = 0;
            var present = new BitSet();
            present.set(0);
            for (int t = 1; t <= 4; t++) {
                mean = 0.9 * mean + 0.1;
                body.segment().set(ValueLayout.JAVA_FLOAT, 0, 1);
                stepper.step(body.segment(), present);
                double rate = 0.5 * (4 - (t - 1)) / 4;
                assertThat((double) body.segment().get(ValueLayout.JAVA_FLOAT, 0)).isCloseTo(-rate * mean, within(1e-6));
            }
        }
    }
}
