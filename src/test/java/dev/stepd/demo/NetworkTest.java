package dev.stepd.demo;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Random;
import org.junit.jupiter.api.Test;

class NetworkTest {
    private static final long SEED = 3;
    private final Digits digits = Digits.load(SEED);
    private final Network network = new Network();

    @Test
    void gradientIsWhatTheLossChangesBy() {
        var batch = new Batches(digits.training(), 8, SEED).ofStep(1);
        var parameters = Network.initial(SEED);
        var gradient = new float[Network.PARAMETERS];
        network.loss(parameters, batch, gradient);

        var random = new Random(SEED);
        int begin = 0;
        for (var tensor : Network.TENSORS) {
            for (int sample = 0; sample < 30; sample++) {
                int at = begin + random.nextInt((int) tensor.elementCount());
                assertThat((double) gradient[at]).as("%s, seed %d, parameter %d", tensor.name(), SEED, at)
                        .isCloseTo(slope(parameters, batch, at), within(5e-4 + 0.02 * Math.abs(gradient[at])));
            }
            begin += (int) tensor.elementCount();
        }
        assertThat(begin).isEqualTo(Network.PARAMETERS);
        assertThat(magnitude(gradient)).isGreaterThan(0.1);
    }

    @Test
    void sameParametersAndBatchGiveTheSameBits() {
        var batch = new Batches(digits.training(), 64, SEED).ofStep(5);
        var first = new float[Network.PARAMETERS];
        var second = new float[Network.PARAMETERS];
        double loss = network.loss(Network.initial(SEED), batch, first);
        assertThat(new Network().loss(Network.initial(SEED), batch, second)).isEqualTo(loss);
        assertThat(second).isEqualTo(first);
    }

    @Test
    void knowsNothingBeforeItLearns() {
        var parameters = Network.initial(SEED);
        assertThat(network.accuracy(parameters, digits.test())).isBetween(0.0, 0.3);
        assertThat(network.loss(parameters, digits.test(), new float[Network.PARAMETERS])).isBetween(2.0, 4.0);
    }

    private double slope(float[] parameters, Examples batch, int at) {
        float step = 1e-3f;
        var moved = parameters.clone();
        var ignored = new float[Network.PARAMETERS];
        moved[at] = parameters[at] + step;
        double above = network.loss(moved, batch, ignored);
        double upper = moved[at];
        moved[at] = parameters[at] - step;
        return (above - network.loss(moved, batch, ignored)) / (upper - moved[at]);
    }

    private static double magnitude(float[] values) {
        double sum = 0;
        for (float value : values) {
            sum += (double) value * value;
        }
        return Math.sqrt(sum);
    }
}
