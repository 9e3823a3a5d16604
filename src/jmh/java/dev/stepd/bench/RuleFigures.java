package dev.stepd.bench;

import dev.stepd.engine.RuleBenchmark;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import org.openjdk.jmh.results.RunResult;

/// What generated code reaches for every rule of the catalogue, the slowest for what it moves first.
final class RuleFigures {
    /// Rules of one to four slots that are one pass.
    private static final Set<String> PLAIN = Set.of("sgd momentum=0.9", "lion", "adagrad", "rmsprop", "adadelta", "adamw",
            "amsgrad", "adabelief", "nadam", "yogi", "adan");
    private static final double PLAIN_RATIO_MAX = 1.2;
    private static final double SLOWEST_RATIO_MAX = 2;
    private static final double CODED_SPEED_MIN = 0.5;

    private RuleFigures() {}

    static List<Figure> measure() {
        var figures = new ArrayList<Figure>();
        var runs = new ArrayList<>(Runs.of(RuleBenchmark.class, "optimizer", RuleBenchmark.subjects()));
        runs.sort(Comparator.comparingDouble(RuleFigures::nanosForEachByte).reversed());
        for (var run : runs) {
            var name = run.getParams().getParam("optimizer");
            double nanos = Runs.nanos(run, "ours") / RuleBenchmark.ELEMENTS;
            figures.add(Figure.info("update of 16 M parameters, " + name,
                    "%.2f ns, %.0f B, %.1f GB/s".formatted(nanos, bytes(run), bytes(run) / nanos)));
            if (RuleBenchmark.comparesWithC(name)) {
                double limit = PLAIN.contains(name) ? PLAIN_RATIO_MAX : SLOWEST_RATIO_MAX;
                figures.add(Figure.atMost("  ratio to C", Runs.ratio(run, "ours", "theirs"), limit, "x"));
            }
        }
        double speed = nanos(runs, "adamw") / nanos(runs, "adamw8bit");
        figures.add(Figure.atLeast("AdamW with int8 slots, speed against f32", speed, CODED_SPEED_MIN, "x"));
        return figures;
    }

    private static double nanos(List<RunResult> runs, String optimizer) {
        return runs.stream()
                .filter(run -> run.getParams().getParam("optimizer").equals(optimizer))
                .mapToDouble(run -> Runs.nanos(run, "ours"))
                .findFirst()
                .orElseThrow();
    }

    private static double nanosForEachByte(RunResult run) {
        return Runs.nanos(run, "ours") / bytes(run);
    }

    private static double bytes(RunResult run) {
        return Runs.median(run, iteration -> Runs.counter(iteration, "bytes"));
    }
}
