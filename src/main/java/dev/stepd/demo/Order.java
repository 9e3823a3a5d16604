package dev.stepd.demo;

import java.util.Random;

/// Orders that a seed decides, the same on every machine.
final class Order {
    private Order() {}

    /// The numbers from 0 to `count - 1`, shuffled.
    static int[] shuffled(int count, long seed) {
        var random = new Random(seed);
        var order = new int[count];
        for (int i = 0; i < count; i++) {
            int other = random.nextInt(i + 1);
            order[i] = order[other];
            order[other] = i;
        }
        return order;
    }
}
