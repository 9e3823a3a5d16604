package dev.stepd.engine;

import dev.stepd.bench.Nanos;
import dev.stepd.rule.Catalogue;
import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/// The update of every rule, the bytes it has to move, and the same update in C for those that `src/jmh/c` has: the same
/// arrays, the same threads, in turns.
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 5, time = 1, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 21, time = 1, timeUnit = TimeUnit.MILLISECONDS)
@Fork(1)
public class RuleBenchmark {
    public static final long ELEMENTS = 16_000_000;
    /// Settings that a rule is also measured with, since its defaults leave most of it out, and its slots in codes.
    private static final List<String> CONFIGURED = List.of("sgd momentum=0.9", "adamw8bit");

    /// Bytes an update moves for each parameter.
    @AuxCounters(AuxCounters.Type.EVENTS)
    @State(Scope.Thread)
    public static class Traffic {
        public long bytes;
    }

    /// One of [#subjects].
    @Param("adamw")
    public String optimizer;

    private Subject subject;
    private Optional<CompiledC> c = Optional.empty();
    private boolean turn;

    /// The whole catalogue.
    public static List<String> subjects() {
        var subjects = new ArrayList<>(Catalogue.rules().stream().map(rule -> rule.spec().name()).toList());
        subjects.addAll(CONFIGURED);
        return subjects;
    }

    /// Whether the update is there in C too, and can be compiled.
    public static boolean comparesWithC(String optimizer) {
        return Files.exists(CompiledC.source(nameInC(optimizer))) && CompiledC.compiler().isPresent();
    }

    /// `sgd_momentum` for `sgd momentum=0.9`.
    private static String nameInC(String optimizer) {
        return optimizer.replaceAll("=\\S*", "").replace(' ', '_');
    }

    @Setup
    public void setUp() throws IOException {
        if (comparesWithC(optimizer)) {
            var compiled = CompiledC.compile(CompiledC.compiler().orElseThrow(), nameInC(optimizer));
            try (var small = new Subject(optimizer, KernelBenchmark.CHECKED_ELEMENTS, KernelBenchmark.THREADS)) {
                compiled.check(small, KernelBenchmark.THREADS);
            }
            c = Optional.of(compiled);
        }
        subject = new Subject(optimizer, ELEMENTS, KernelBenchmark.THREADS);
    }

    /// The update and the C loop, each first in turn.
    @Benchmark
    public void update(Nanos nanos, Traffic traffic) {
        turn = !turn;
        if (turn) {
            nanos.ours += timed(subject::update);
            c.ifPresent(other -> nanos.theirs += timed(() -> other.update(subject, KernelBenchmark.THREADS)));
        } else {
            c.ifPresent(other -> nanos.theirs += timed(() -> other.update(subject, KernelBenchmark.THREADS)));
            nanos.ours += timed(subject::update);
        }
        traffic.bytes = subject.movedBytes();
    }

    /// Deltas of deltas would fade to denormals: every update has a gradient of its own.
    private long timed(Runnable update) {
        subject.refill();
        long start = System.nanoTime();
        update.run();
        return System.nanoTime() - start;
    }

    @TearDown
    public void tearDown() {
        subject.close();
    }
}
