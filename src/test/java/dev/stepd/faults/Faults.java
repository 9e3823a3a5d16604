package dev.stepd.faults;

import java.util.Random;

/// How many faults a run has and what they follow from: `-Dstepd.faults.kills` in all (40; `./stepd test --faults` has 500), and
/// `-Dstepd.faults.seed`, which is printed.
final class Faults {
    private static final int KILLS = Integer.getInteger("stepd.faults.kills", 40);
    private static final long SEED = Long.getLong("stepd.faults.seed", System.nanoTime());

    private Faults() {}

    /// A test's part of the kills.
    static int kills(int ofForty) {
        return Math.max(1, KILLS * ofForty / 40);
    }

    static Random random(String test) {
        System.out.println(test + ": -Dstepd.faults.seed=" + SEED);
        return new Random(SEED ^ test.hashCode());
    }
}
