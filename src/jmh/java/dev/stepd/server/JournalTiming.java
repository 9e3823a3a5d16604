package dev.stepd.server;

import java.io.IOException;
import java.util.Arrays;

/// How long one client waits for a step with a journal and for one without, in turns on the same server.
///
/// @param none, journal nanoseconds of the median step
public record JournalTiming(double none, double journal) {
    private static final int ELEMENTS = 1_000_000;
    private static final int WARMUP = 150;
    private static final int STEPS = 400;

    public static JournalTiming measure() throws IOException {
        try (var server = ServerProcess.stepd();
                var none = new TrainingClient(server.port(), ELEMENTS);
                var journal = new TrainingClient(server.port(), ELEMENTS, "journal")) {
            var plain = new long[STEPS];
            var kept = new long[STEPS];
            for (int i = -WARMUP; i < STEPS; i++) {
                long a = nanos(none);
                long b = nanos(journal);
                if (i >= 0) {
                    plain[i] = a;
                    kept[i] = b;
                }
            }
            return new JournalTiming(median(plain), median(kept));
        }
    }

    private static long nanos(TrainingClient client) throws IOException {
        long start = System.nanoTime();
        client.step();
        return System.nanoTime() - start;
    }

    private static double median(long[] nanos) {
        Arrays.sort(nanos);
        return nanos[nanos.length / 2];
    }
}
