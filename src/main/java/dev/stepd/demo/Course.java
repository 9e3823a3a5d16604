package dev.stepd.demo;

/// How long and from what a network is trained; all trainers take the same course.
///
/// @param epochs how often every example is seen
/// @param seed decides the first parameters and the order of the examples
record Course(Digits digits, int epochs, long seed) {
    static final int BATCH = 64;
    private static final int SNAPSHOTS = 15;

    Batches batches() {
        return new Batches(digits.training(), BATCH, seed);
    }

    long steps() {
        return (long) epochs * batches().perEpoch();
    }

    /// Steps between two snapshots, so that a restart costs some of them, but few.
    long snapshotEvery() {
        return Math.max(2, steps() / SNAPSHOTS);
    }
}
