package dev.stepd.bench;

import dev.stepd.server.SnapshotTiming;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;

/// What snapshots cost while steps go on, and what they write, on the disk of temporary files.
final class SnapshotFigures {
    private static final double SLOWDOWN_MAX = 1.2;
    private static final double UNCHANGED_PERCENT_MAX = 1;
    private static final double NANOS_PER_MILLI = 1e6;
    private static final double P99 = 0.99;

    private SnapshotFigures() {}

    static List<Figure> measure() {
        var figures = new ArrayList<Figure>();
        for (int millions : new int[] {1, 16}) {
            try {
                figures.addAll(of(millions + " M", SnapshotTiming.measure(millions * 1_000_000)));
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
        return figures;
    }

    private static List<Figure> of(String size, SnapshotTiming timing) {
        return List.of(
                Figure.info("AdamW step over HTTP, " + size + " parameters", spread(timing.quiet())),
                Figure.info("  while a snapshot is written", spread(timing.during())),
                Figure.atMost("  ratio of the means", timing.slowdown(), SLOWDOWN_MAX, "x"),
                Figure.info("  snapshot, nothing else going on", rate(timing.bytes(), timing.writing())),
                Figure.info("  restore, proved", rate(timing.bytes(), timing.reading())),
                Figure.atMost("  written to disk for a second snapshot of the same state",
                        100.0 * timing.unchangedBytes() / timing.bytes(), UNCHANGED_PERCENT_MAX, "%"));
    }

    private static String spread(long[] nanos) {
        return "%.1f ms, p99 %.1f ms".formatted(SnapshotTiming.quantile(nanos, 0.5) / NANOS_PER_MILLI,
                SnapshotTiming.quantile(nanos, P99) / NANOS_PER_MILLI);
    }

    private static String rate(long bytes, double nanos) {
        return "%.0f ms, %.0f MB/s".formatted(nanos / NANOS_PER_MILLI, bytes * 1e3 / nanos);
    }
}
