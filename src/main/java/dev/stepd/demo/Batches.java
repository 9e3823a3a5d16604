package dev.stepd.demo;

import java.util.Arrays;

/// Cuts examples into the batches of a training, each epoch in another order.
///
/// A batch depends on nothing but its step and the seed. So a trainer that is set back needs no memory of where it was.
final class Batches {
    private final Examples examples;
    private final int size;
    private final long seed;
    private long epoch = -1;
    private int[] order = {};

    Batches(Examples examples, int size, long seed) {
        this.examples = examples;
        this.size = size;
        this.seed = seed;
    }

    /// Steps of one epoch; the last one has what is left.
    int perEpoch() {
        return Math.ceilDiv(examples.count(), size);
    }

    /// @param step from 1
    Examples ofStep(long step) {
        long wanted = (step - 1) / perEpoch();
        if (wanted != epoch) {
            order = Order.shuffled(examples.count(), seed * 1_000_003 + wanted);
            epoch = wanted;
        }
        int begin = (int) ((step - 1) % perEpoch()) * size;
        return examples.at(Arrays.copyOfRange(order, begin, Math.min(begin + size, order.length)));
    }
}
