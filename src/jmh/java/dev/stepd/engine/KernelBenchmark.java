package dev.stepd.engine;

import dev.stepd.bench.Nanos;
import java.io.IOException;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/// Generated AdamW against the same update in C: the same arrays, the same threads, in turns.
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 10, time = 1, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 40, time = 1, timeUnit = TimeUnit.MILLISECONDS)
@Fork(3)
public class KernelBenchmark {
    /// Where the sources are.
    public static final String HOME = "stepd.home";

    public static final long ELEMENTS = 50_000_000;
    static final int THREADS = 2;

    static final long CHECKED_ELEMENTS = 100_003;

    private Subject subject;
    private CompiledC c;
    private boolean turn;

    /// Whether there is a C compiler.
    public static boolean canRun() {
        return CompiledC.compiler().isPresent();
    }

    @Setup
    public void setUp() throws IOException {
        c = CompiledC.compile(CompiledC.compiler().orElseThrow(), "adamw");
        try (var small = new Subject("adamw", CHECKED_ELEMENTS, THREADS)) {
            c.check(small, THREADS);
        }
        subject = new Subject("adamw", ELEMENTS, THREADS);
    }

    /// The update, the C loop, and the whole step: each first in turn.
    @Benchmark
    public void adamw(Nanos nanos) {
        turn = !turn;
        if (turn) {
            ours(nanos);
            theirs(nanos);
        } else {
            theirs(nanos);
            ours(nanos);
        }
        long start = System.nanoTime();
        subject.step();
        nanos.other += System.nanoTime() - start;
    }

    private void ours(Nanos nanos) {
        long start = System.nanoTime();
        subject.update();
        nanos.ours += System.nanoTime() - start;
    }

    private void theirs(Nanos nanos) {
        long start = System.nanoTime();
        c.update(subject, THREADS);
        nanos.theirs += System.nanoTime() - start;
    }

    @TearDown
    public void tearDown() {
        subject.close();
    }
}
