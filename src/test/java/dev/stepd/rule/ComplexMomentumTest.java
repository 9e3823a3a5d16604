package dev.stepd.rule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.stepd.tensor.Shape;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// No recorded trajectory has complex momentum: its steps are held to arithmetic of complex numbers, to classical momentum, and
/// to the game it was made for.
class ComplexMomentumTest {
    private static final Map<String, Shape> SHAPES = Map.of("w", Shape.of(4, 5));

    private record Complex(double re, double im) {
        static Complex polar(double magnitude, double argument) {
            return new Complex(magnitude * Math.cos(argument), magnitude * Math.sin(argument));
        }

        Complex times(Complex other) {
            return new Complex(re * other.re - im * other.im, re * other.im + im * other.re);
        }

        Complex minus(double real) {
            return new Complex(re - real, im);
        }
    }

    private static float[] gradient(SplittableRandom random) {
        var values = new float[20];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    @ParameterizedTest
    @ValueSource(doubles = {0, 0.1, Math.PI / 8, -Math.PI / 8, 1, Math.PI / 2, 2.5, Math.PI, -Math.PI})
    void turnsTheBuffer(double argument) {
        var optimizer = Map.<String, Object>of("name", "complex_momentum", "lr", 0.1, "beta", 0.9, "beta_arg", argument);
        var random = new SplittableRandom(1);
        var coefficient = Complex.polar(0.9, argument);
        var mu = new Complex[20];
        java.util.Arrays.fill(mu, new Complex(0, 0));
        try (var session = new Small(optimizer, SHAPES, Map.of("w", new float[20]))) {
            for (int t = 0; t < 30; t++) {
                var g = gradient(random);
                var delta = session.step(Map.of("w", g)).get("w");
                for (int i = 0; i < 20; i++) {
                    mu[i] = mu[i].times(coefficient).minus(g[i]);
                    assertThat((double) delta[i]).isCloseTo(0.1 * mu[i].re, within(2e-6));
                }
            }
            for (int i = 0; i < 20; i++) {
                assertThat((double) session.slot("w#momentum_real")[i]).isCloseTo(mu[i].re, within(2e-5));
                assertThat((double) session.slot("w#momentum_imag")[i]).isCloseTo(mu[i].im, within(2e-5));
            }
        }
    }

    @Test
    void isClassicalMomentumWithoutArgument() {
        var optimizer = Map.<String, Object>of("name", "complex_momentum", "lr", 0.1, "beta", 0.9, "beta_arg", 0);
        var classical = Map.<String, Object>of("name", "sgd", "lr", 0.1, "momentum", 0.9);
        var random = new SplittableRandom(2);
        try (var one = new Small(optimizer, SHAPES, Map.of("w", new float[20]));
                var other = new Small(classical, SHAPES, Map.of("w", new float[20]))) {
            for (int t = 0; t < 30; t++) {
                var g = gradient(random);
                assertThat(one.step(Map.of("w", g))).hasEntrySatisfying("w", delta ->
                        assertThat(delta).isEqualTo(other.step(Map.of("w", g)).get("w")));
            }
            assertThat(one.slot("w#momentum_imag")).containsOnly(0);
        }
    }

    /// `min over x, max over y of x*y`, both moving at once: real momentum spirals out, a phase brings both to rest.
    @ParameterizedTest
    @ValueSource(doubles = {0, Math.PI / 8})
    void settlesGames(double argument) {
        var optimizer = Map.<String, Object>of("name", "complex_momentum", "lr", 0.05, "beta", 0.9, "beta_arg", argument);
        var shapes = Map.of("x", Shape.of(1), "y", Shape.of(1));
        try (var session = new Small(optimizer, shapes, Map.of("x", new float[] {1}, "y", new float[] {1}))) {
            for (int t = 0; t < 300; t++) {
                float x = session.parameter("x")[0];
                float y = session.parameter("y")[0];
                session.step(Map.of("x", new float[] {y}, "y", new float[] {-x}));
            }
            double distance = Math.hypot(session.parameter("x")[0], session.parameter("y")[0]);
            if (argument == 0) {
                assertThat(distance).isGreaterThan(1000);
            } else {
                assertThat(distance).isLessThan(0.05);
            }
        }
    }
}
