package dev.stepd.bench;

import dev.stepd.server.JournalTiming;
import dev.stepd.session.ReplayTiming;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;

/// What it costs to lose nothing, on the disk of temporary files.
final class JournalFigures {
    private static final double COST_MAX = 1.5;
    private static final double SPEED_MIN = 0.5;
    private static final double NANOS_PER_MILLI = 1e6;

    private JournalFigures() {}

    static List<Figure> measure() {
        try {
            var steps = JournalTiming.measure();
            var replay = ReplayTiming.measure();
            return List.of(
                    Figure.info("AdamW step over HTTP, 1 M parameters, durability none", millis(steps.none())),
                    Figure.info("  journal", millis(steps.journal())),
                    Figure.atMost("  ratio", steps.journal() / steps.none(), COST_MAX, "x"),
                    Figure.info("recovery, for each step of 1 M parameters", millis(replay.replay())),
                    Figure.info("  the same step in process", millis(replay.stepping())),
                    Figure.atLeast("  speed", replay.stepping() / replay.replay(), SPEED_MIN, "x"));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String millis(double nanos) {
        return "%.1f ms".formatted(nanos / NANOS_PER_MILLI);
    }
}
