package dev.stepd.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.rule.Composition;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.Shape;
import dev.stepd.tensor.TensorSpec;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;

/// What slots draw before the first step: Gravity's `v`, normally distributed with the deviation `alpha/lr`.
class RandomStartTest {
    private static final Engine ENGINE = new Engine(new CpuDevice(1L << 28, 2));
    private static final int COUNT = 200_000;

    @AfterAll
    static void close() {
        ENGINE.close();
    }

    private static Map<String, float[]> drawn(
            Map<String, Long> sizes, List<Map<String, Object>> groups, @Nullable Object schedule, long seed) {
        var tensors = new ArrayList<TensorSpec>();
        sizes.forEach((name, size) -> tensors.add(new TensorSpec(name, Shape.of(size), DType.F32)));
        var optimizer = Map.<String, Object>of("name", "gravity", "lr", 0.125, "alpha", 0.25);
        var composition = new Composition(optimizer, List.of(), null, null, Map.of("seed", seed));
        var blueprint = new Engine.Blueprint(tensors, composition, groups, schedule, Engine.NonFinite.REJECT);
        try (var stepper = ENGINE.create(blueprint)) {
            var drawn = new LinkedHashMap<String, float[]>();
            stepper.slots().forEach(part -> drawn.put(part.key(), Values.floats(part.array())));
            return drawn;
        }
    }

    private static float[] drawn(long seed) {
        return drawn(Map.of("w", (long) COUNT), List.of(), null, seed).get("w#v");
    }

    private static double mean(float[] values, java.util.function.DoubleUnaryOperator of) {
        return IntStream.range(0, values.length).mapToDouble(i -> of.applyAsDouble(values[i] / 2)).average().orElseThrow();
    }

    /// Five standard errors each.
    @Test
    void isNormal() {
        var values = drawn(0);
        assertThat(mean(values, x -> x)).isCloseTo(0, within(5 / Math.sqrt(COUNT)));
        assertThat(mean(values, x -> x * x)).isCloseTo(1, within(5 * Math.sqrt(2.0 / COUNT)));
        assertThat(mean(values, x -> x * x * x)).isCloseTo(0, within(5 * Math.sqrt(15.0 / COUNT)));
        assertThat(mean(values, x -> x * x * x * x)).isCloseTo(3, within(5 * Math.sqrt(96.0 / COUNT)));
        for (double x : new double[] {-3, -2, -1, -0.3, 0, 0.5, 1.5, 2.5}) {
            double share = below(x);
            assertThat(mean(values, value -> value < x ? 1 : 0))
                    .isCloseTo(share, within(5 * Math.sqrt(share * (1 - share) / COUNT)));
        }
        assertThat(mean(values, x -> Math.abs(x) < 6.5 ? 1 : 0)).isEqualTo(1);
    }

    /// The normal distribution function, integrated by Simpson's rule.
    private static double below(double x) {
        int steps = 2000;
        double h = x / steps;
        double sum = 0;
        for (int i = 0; i <= steps; i++) {
            double at = i * h;
            sum += Math.exp(-at * at / 2) * (i == 0 || i == steps ? 1 : i % 2 == 1 ? 4 : 2);
        }
        return 0.5 + sum * h / 3 / Math.sqrt(2 * Math.PI);
    }

    @Test
    void neighboursAreIndependent() {
        var values = drawn(0);
        double sum = 0;
        for (int i = 1; i < COUNT; i++) {
            sum += values[i - 1] * values[i] / 4;
        }
        assertThat(sum / COUNT).isCloseTo(0, within(5 / Math.sqrt(COUNT)));
    }

    @Test
    void dependsOnTheSeedAlone() {
        assertThat(drawn(7)).isEqualTo(drawn(7)).isNotEqualTo(drawn(8));
        double sum = 0;
        var seven = drawn(7);
        var eight = drawn(8);
        for (int i = 0; i < COUNT; i++) {
            sum += seven[i] * eight[i] / 4;
        }
        assertThat(sum / COUNT).isCloseTo(0, within(5 / Math.sqrt(COUNT)));
    }

    /// Tensors are numbered through as they are declared, whatever group they are in.
    @Test
    void drawsByPlaceInTheSession() {
        var whole = drawn(Map.of("w", 100L), List.of(), null, 3).get("w#v");
        var sizes = new LinkedHashMap<String, Long>();
        sizes.put("a", 33L);
        sizes.put("none", 0L);
        sizes.put("b", 67L);
        var parts = drawn(sizes, List.of(Map.of("match", "a", "lr", 0.0625)), null, 3);
        for (int i = 0; i < 33; i++) {
            assertThat(parts.get("a#v")[i]).as("of the deviation of its group").isEqualTo(2 * whole[i]);
        }
        assertThat(parts.get("b#v")).isEqualTo(java.util.Arrays.copyOfRange(whole, 33, 100));
    }

    @Test
    void knowsNoSchedule() {
        var schedule = Map.of("name", "linear", "total_steps", 100, "warmup_steps", 10);
        assertThat(drawn(Map.of("w", 100L), List.of(), schedule, 3).get("w#v"))
                .isEqualTo(drawn(Map.of("w", 100L), List.of(), null, 3).get("w#v"));
    }
}
