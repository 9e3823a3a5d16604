package dev.stepd.bench;

import dev.stepd.engine.KernelBenchmark;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.function.ToDoubleFunction;
import org.openjdk.jmh.profile.GCProfiler;
import org.openjdk.jmh.results.IterationResult;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.OptionsBuilder;

/// Runs JMH and reads what it measured, by iteration rather than as a mean: the machine may be shared, and a median does
/// not mind an iteration that was disturbed.
final class Runs {
    private Runs() {}

    static Collection<RunResult> of(Class<?> benchmark) {
        return of(benchmark, options(benchmark));
    }

    /// Runs a benchmark once for each value of a parameter.
    static Collection<RunResult> of(Class<?> benchmark, String parameter, List<String> values) {
        return of(benchmark, options(benchmark).param(parameter, values.toArray(String[]::new)));
    }

    private static ChainedOptionsBuilder options(Class<?> benchmark) {
        return new OptionsBuilder()
                .include("^" + benchmark.getName().replace(".", "\\.") + "\\.")
                .addProfiler(GCProfiler.class)
                .output(log(benchmark).toString())
                .shouldFailOnError(true);
    }

    private static Collection<RunResult> of(Class<?> benchmark, ChainedOptionsBuilder options) {
        try {
            return new Runner(options.build()).run();
        } catch (RunnerException e) {
            throw new IllegalStateException(benchmark.getSimpleName() + " failed; " + log(benchmark) + " says how", e);
        }
    }

    /// What JMH says while it runs.
    private static Path log(Class<?> benchmark) {
        return Path.of(System.getProperty(KernelBenchmark.HOME), "target", benchmark.getSimpleName() + ".log");
    }

    static RunResult one(Class<?> benchmark) {
        return of(benchmark).iterator().next();
    }

    /// The median over all iterations of all forks.
    static double median(RunResult run, ToDoubleFunction<IterationResult> value) {
        return median(iterations(run).stream().mapToDouble(value).toArray());
    }

    static double median(double[] values) {
        var sorted = values.clone();
        Arrays.sort(sorted);
        int half = sorted.length / 2;
        return sorted.length % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
    }

    /// What the benchmark itself measured: time per operation, or operations per time.
    static double score(RunResult run) {
        return median(run, iteration -> iteration.getPrimaryResult().getScore());
    }

    /// A counter of the benchmark, or of the profiler.
    static double counter(IterationResult iteration, String name) {
        return iteration.getSecondaryResults().get(name).getScore();
    }

    /// Median nanoseconds of one of the things measured in turns.
    static double nanos(RunResult run, String name) {
        return median(run, iteration -> counter(iteration, name) / operations(iteration));
    }

    private static double operations(IterationResult iteration) {
        return iteration.getMetadata().getMeasuredOps();
    }

    /// Median of how long one took compared to the other right beside it.
    static double ratio(RunResult run, String ours, String theirs) {
        return median(run, iteration -> counter(iteration, ours) / counter(iteration, theirs));
    }

    private static List<IterationResult> iterations(RunResult run) {
        var all = new ArrayList<IterationResult>();
        for (var fork : run.getBenchmarkResults()) {
            all.addAll(fork.getIterationResults());
        }
        return all;
    }
}
