package dev.stepd.bench;

import dev.stepd.engine.KernelBenchmark;
import dev.stepd.engine.SmallStepBenchmark;
import java.util.ArrayList;
import java.util.List;

/// What generated code reaches.
final class KernelFigures {
    private static final double C_RATIO_MAX = 1.15;
    /// Less than the smallest object: what is left is JMH's own.
    private static final double ALLOCATED_BYTES_MAX = 8;
    private static final double NANOS_PER_MILLI = 1e6;

    private KernelFigures() {}

    static List<Figure> measure() {
        var figures = new ArrayList<Figure>();
        againstC(figures);
        small(figures);
        return figures;
    }

    private static void againstC(List<Figure> figures) {
        if (!KernelBenchmark.canRun()) {
            figures.add(Figure.info("AdamW, 50 M parameters, against C", "skipped: no C compiler (cc, gcc, clang)"));
            return;
        }
        var run = Runs.one(KernelBenchmark.class);
        figures.add(Figure.info("AdamW update, 50 M parameters, 2 threads", millis(Runs.nanos(run, "ours"))));
        figures.add(Figure.info("  the same update in C", millis(Runs.nanos(run, "theirs"))));
        figures.add(Figure.atMost("  ratio to C", Runs.ratio(run, "ours", "theirs"), C_RATIO_MAX, "x"));
        figures.add(Figure.info("  whole step, gradient norm included", millis(Runs.nanos(run, "other"))));
    }

    private static void small(List<Figure> figures) {
        for (var run : Runs.of(SmallStepBenchmark.class)) {
            var elements = Long.parseLong(run.getParams().getParam("elements"));
            figures.add(Figure.info("AdamW step, %,d parameters".formatted(elements), "%.1f us".formatted(Runs.score(run))));
            double bytes = Runs.median(run, iteration -> Runs.counter(iteration, "gc.alloc.rate.norm"));
            figures.add(Figure.atMost("  bytes allocated a step", bytes, ALLOCATED_BYTES_MAX, "B"));
        }
    }

    private static String millis(double nanos) {
        return "%.1f ms".formatted(nanos / NANOS_PER_MILLI);
    }
}
