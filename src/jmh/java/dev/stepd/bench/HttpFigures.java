package dev.stepd.bench;

import dev.stepd.server.LoopbackBenchmark;
import dev.stepd.server.StepLatencyBenchmark;
import dev.stepd.server.StepRateBenchmark;
import java.util.List;

/// What a client on the same machine sees; client and server share its cores.
final class HttpFigures {
    private static final double PARTS_RATIO_MAX = 1.5;
    private static final double SMALL_MILLIS_MAX = 0.5;
    private static final double RATE_MIN = 20_000;
    private static final double NANOS_PER_MILLI = 1e6;

    private HttpFigures() {}

    static List<Figure> measure() {
        var large = Runs.one(LoopbackBenchmark.class);
        double kernel = Runs.nanos(large, "other");
        double echo = Runs.nanos(large, "theirs") - kernel;
        return List.of(
                Figure.info("AdamW step over HTTP, 10 M parameters", millis(Runs.nanos(large, "ours"))),
                Figure.info("  raw socket echo of the same bytes", millis(echo)),
                Figure.info("  the same step in process", millis(kernel)),
                Figure.atMost("  ratio to echo and step together", Runs.ratio(large, "ours", "theirs"), PARTS_RATIO_MAX, "x"),
                Figure.atMost("AdamW step over HTTP, 100 k parameters",
                        Runs.score(Runs.one(StepLatencyBenchmark.class)), SMALL_MILLIS_MAX, "ms"),
                Figure.atLeast("4 KB steps over 16 connections",
                        Runs.score(Runs.one(StepRateBenchmark.class)), RATE_MIN, "steps/s"));
    }

    private static String millis(double nanos) {
        return "%.1f ms".formatted(nanos / NANOS_PER_MILLI);
    }
}
