package dev.stepd.demo;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.HashSet;
import org.junit.jupiter.api.Test;

class DigitsTest {
    private final Digits digits = Digits.load(7);

    @Test
    void areDividedFourToOne() {
        assertThat(digits.training().count()).isEqualTo(1437);
        assertThat(digits.test().count()).isEqualTo(360);
    }

    @Test
    void holdEveryDigitAndPixelsFromZeroToOne() {
        var labels = new HashSet<Integer>();
        for (int image = 0; image < digits.test().count(); image++) {
            labels.add(digits.test().label(image));
            for (int at = 0; at < Examples.PIXELS; at++) {
                assertThat(digits.test().pixel(image, at)).isBetween(0f, 1f);
            }
        }
        assertThat(labels).containsExactlyInAnyOrder(0, 1, 2, 3, 4, 5, 6, 7, 8, 9);
    }

    @Test
    void aBatchDependsOnItsStepAlone() {
        var onward = new Batches(digits.training(), 64, 7);
        for (long step = 1; step < 60; step++) {
            onward.ofStep(step);
        }
        assertThat(pixels(onward.ofStep(30))).isEqualTo(pixels(new Batches(digits.training(), 64, 7).ofStep(30)));
        assertThat(pixels(onward.ofStep(30))).isNotEqualTo(pixels(onward.ofStep(30 + onward.perEpoch())));
    }

    @Test
    void anEpochSeesEveryExampleOnce() {
        var batches = new Batches(digits.training(), 64, 7);
        int seen = 0;
        for (long step = 1; step <= batches.perEpoch(); step++) {
            seen += batches.ofStep(step).count();
        }
        assertThat(seen).isEqualTo(1437);
        var order = Order.shuffled(1437, 7);
        Arrays.sort(order);
        assertThat(order).startsWith(0, 1, 2).endsWith(1435, 1436).doesNotHaveDuplicates();
    }

    private static float[] pixels(Examples examples) {
        var pixels = new float[examples.count() * Examples.PIXELS];
        for (int i = 0; i < pixels.length; i++) {
            pixels[i] = examples.pixel(i / Examples.PIXELS, i % Examples.PIXELS);
        }
        return pixels;
    }
}
