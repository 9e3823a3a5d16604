package dev.stepd.rule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.stepd.tensor.Shape;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// No recorded trajectory has Lion-K beyond Lion: its steps are held to Lion, to differences of the functions themselves, to
/// loops in f64, and to where they have to end.
class LionKTest {
    private static final Map<String, Shape> SHAPES = shapes();
    private static final double LR = 0.01;
    private static final double BETA1 = 0.75;
    private static final double BETA2 = 0.5;

    private static Map<String, Shape> shapes() {
        var shapes = new LinkedHashMap<String, Shape>();
        shapes.put("matrix", Shape.of(3, 5));
        shapes.put("vector", Shape.of(7));
        shapes.put("scalar", Shape.of());
        shapes.put("none", Shape.of(0));
        shapes.put("kernel", Shape.of(2, 3, 2));
        return shapes;
    }

    private static Map<String, Object> optimizer(String k, double p, double weightDecay) {
        return Map.of("name", "lion_k", "k", k, "power", p, "lr", LR, "beta1", BETA1, "beta2", BETA2, "weight_decay", weightDecay);
    }

    private static Map<String, float[]> random(SplittableRandom random) {
        var values = new LinkedHashMap<String, float[]>();
        SHAPES.forEach((name, shape) -> {
            var of = new float[(int) shape.elementCount()];
            for (int i = 0; i < of.length; i++) {
                of[i] = (float) (random.nextGaussian() * Math.pow(10, random.nextInt(4) - 2));
            }
            values.put(name, of);
        });
        return values;
    }

    @Test
    void isLionWithL1() {
        var random = new SplittableRandom(1);
        var start = random(random);
        var lion = new HashMap<>(optimizer("l1", 1.5, 0.1));
        lion.keySet().removeAll(List.of("k", "power"));
        lion.put("name", "lion");
        try (var one = new Small(optimizer("l1", 1.5, 0.1), SHAPES, start); var other = new Small(lion, SHAPES, start)) {
            for (int t = 0; t < 20; t++) {
                var gradients = random(random);
                var deltas = other.step(gradients);
                one.step(gradients).forEach((name, delta) -> assertThat(delta).as(name).isEqualTo(deltas.get(name)));
            }
            SHAPES.keySet().forEach(name -> assertThat(one.slot(name + "#exp_avg")).isEqualTo(other.slot(name + "#exp_avg")));
        }
    }

    /// The function itself, in f64.
    private static double k(String k, double p, double[] c, int rowLength) {
        double sum = 0;
        for (int from = 0; from < c.length; from += rowLength) {
            double row = 0;
            for (int i = from; i < from + rowLength; i++) {
                row += k.equals("group_l2") ? c[i] * c[i] : Math.pow(Math.abs(c[i]), k.equals("l1") ? 1 : p);
            }
            sum += k.equals("group_l2") ? Math.sqrt(row) : row;
        }
        return switch (k) {
            case "p_norm" -> Math.pow(sum, 1 / p);
            case "p_power" -> sum / p;
            default -> sum;
        };
    }

    private static int rowLength(Shape shape) {
        int count = (int) shape.elementCount();
        return shape.extents().size() < 2 ? Math.max(1, count) : count / (int) (long) shape.extents().getFirst();
    }

    /// The first step goes down the slope of K at `(1 - b1)*g`, as a difference quotient has it.
    @ParameterizedTest
    @CsvSource({"l1, 1.5", "group_l2, 1.5", "p_norm, 1.25", "p_norm, 1.5", "p_norm, 2", "p_power, 1.5", "p_power, 2"})
    void goesDownTheSlopeOfK(String k, double p) {
        var gradients = random(new SplittableRandom(2));
        try (var session = new Small(optimizer(k, p, 0), SHAPES, random(new SplittableRandom(3)))) {
            var deltas = session.step(gradients);
            SHAPES.forEach((name, shape) -> {
                var c = new double[gradients.get(name).length];
                for (int i = 0; i < c.length; i++) {
                    c[i] = (1 - BETA1) * gradients.get(name)[i];
                }
                for (int i = 0; i < c.length; i++) {
                    double h = 1e-5 * Math.abs(c[i]);
                    double at = c[i];
                    c[i] = at + h;
                    double above = k(k, p, c, rowLength(shape));
                    c[i] = at - h;
                    double slope = (above - k(k, p, c, rowLength(shape))) / (2 * h);
                    c[i] = at;
                    assertThat((double) deltas.get(name)[i]).as("%s[%d]", name, i)
                            .isCloseTo(-LR * slope, within(LR * (1e-4 * Math.abs(slope) + 1e-7)));
                }
            });
        }
    }

    /// Means, decay and direction over many steps, in loops.
    @ParameterizedTest
    @CsvSource({"group_l2, 1.5", "p_norm, 1.5", "p_power, 1.25"})
    void keepsToLoopsInDoubles(String k, double p) {
        var random = new SplittableRandom(4);
        var start = random(random);
        try (var session = new Small(optimizer(k, p, 0.1), SHAPES, start)) {
            var m = new HashMap<String, double[]>();
            var x = new HashMap<String, double[]>();
            start.forEach((name, values) -> {
                m.put(name, new double[values.length]);
                x.put(name, java.util.stream.IntStream.range(0, values.length).mapToDouble(i -> values[i]).toArray());
            });
            for (int t = 0; t < 15; t++) {
                var gradients = random(random);
                session.step(gradients);
                SHAPES.forEach((name, shape) ->
                        loop(k, p, gradients.get(name), m.get(name), x.get(name), rowLength(shape)));
            }
            x.forEach((name, values) -> {
                for (int i = 0; i < values.length; i++) {
                    assertThat((double) session.parameter(name)[i]).as("%s[%d]", name, i)
                            .isCloseTo(values[i], within(1e-6 + 1e-5 * Math.abs(values[i])));
                }
            });
        }
    }

    private static void loop(String k, double p, float[] g, double[] m, double[] x, int rowLength) {
        double tensor = 0;
        var c = new double[g.length];
        for (int i = 0; i < g.length; i++) {
            c[i] = BETA1 * m[i] + (1 - BETA1) * g[i];
            m[i] = BETA2 * m[i] + (1 - BETA2) * g[i];
            tensor += Math.pow(Math.abs(c[i]), p);
        }
        for (int i = 0; i < g.length; i++) {
            double row = 0;
            for (int j = i - i % rowLength; j < i - i % rowLength + rowLength; j++) {
                row += c[j] * c[j];
            }
            double step = switch (k) {
                case "group_l2" -> c[i] / Math.sqrt(row);
                case "p_norm" -> Math.signum(c[i]) * Math.pow(Math.abs(c[i]), p - 1) / Math.pow(Math.pow(tensor, 1 / p), p - 1);
                default -> Math.signum(c[i]) * Math.pow(Math.abs(c[i]), p - 1);
            };
            x[i] -= LR * (step + 0.1 * x[i]);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"l1", "group_l2", "p_norm", "p_power"})
    void standsWhereNothingPulls(String k) {
        var zeros = new LinkedHashMap<String, float[]>();
        SHAPES.forEach((name, shape) -> zeros.put(name, new float[(int) shape.elementCount()]));
        try (var session = new Small(optimizer(k, 1.5, 0), SHAPES, random(new SplittableRandom(5)))) {
            session.step(zeros).forEach((name, delta) -> {
                for (float value : delta) {
                    assertThat(value).as(name).isZero();
                }
            });
        }
    }

    /// `|x - a|^2 / 2` ends at the point nearest to `a` whose dual norm, row by row where K goes row by row, is at most `1/wd`.
    @ParameterizedTest
    @ValueSource(strings = {"l1", "group_l2", "p_norm"})
    void endsInTheBallOfTheDualNorm(String k) {
        double radius = 2;
        float[] target = {3, -5, 0.5f, -1, 1, 0.25f};
        var shapes = Map.of("x", Shape.of(2, 3));
        try (var session = new Small(optimizer(k, 2, 1 / radius), shapes, Map.of("x", new float[6]))) {
            for (int t = 0; t < 4000; t++) {
                var x = session.parameter("x");
                var gradient = new float[6];
                for (int i = 0; i < 6; i++) {
                    gradient[i] = x[i] - target[i];
                }
                session.step(Map.of("x", gradient));
            }
            var x = session.parameter("x");
            for (int i = 0; i < 6; i++) {
                int length = k.equals("p_norm") ? 6 : 3;
                double row = norm(target, i - i % length, length);
                double expected = k.equals("l1")
                        ? Math.clamp(target[i], -radius, radius)
                        : target[i] * Math.min(1, radius / row);
                assertThat((double) x[i]).as("x[%d]", i).isCloseTo(expected, within(5 * LR));
            }
        }
    }

    private static double norm(float[] values, int from, int length) {
        double sum = 0;
        for (int i = from; i < from + length; i++) {
            sum += values[i] * values[i];
        }
        return Math.sqrt(sum);
    }
}
