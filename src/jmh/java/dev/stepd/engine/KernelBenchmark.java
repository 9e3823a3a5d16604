package dev.stepd.engine;

import dev.stepd.bench.Nanos;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
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

    private static final long CHECKED_ELEMENTS = 100_003;
    /// The compiler may fuse a product and a sum in C: a rounding more or less.
    private static final float TOLERANCE = 2e-6f;

    private Subject subject;
    private CompiledC c;
    private MemorySegment hyper;
    private boolean turn;

    /// Whether there is a C compiler.
    public static boolean canRun() {
        return CompiledC.compiler().isPresent();
    }

    @Setup
    public void setUp() throws IOException {
        var compiler = CompiledC.compiler().orElseThrow();
        c = CompiledC.compile(compiler, Path.of(System.getProperty(HOME), "src/jmh/c/adamw.c"));
        hyper = Arena.global().allocateFrom(ValueLayout.JAVA_DOUBLE, 1e-3, 0.9, 0.999, 1e-8, 0.01, Subject.STEP);
        try (var small = new Subject("adamw", CHECKED_ELEMENTS, THREADS)) {
            check(small);
        }
        subject = new Subject("adamw", ELEMENTS, THREADS);
    }

    /// Both must compute the same, from moments that are not zero.
    private void check(Subject small) {
        small.update();
        small.refill();
        var arrays = new MemorySegment[] {
            small.parameters(), small.slot(0), small.slot(1), small.gradients()
        };
        var before = values(arrays);
        small.update();
        var ours = values(arrays);
        for (int i = 0; i < arrays.length; i++) {
            arrays[i].copyFrom(MemorySegment.ofArray(before[i]));
        }
        c.adamw(small, hyper, THREADS);
        var theirs = values(arrays);
        for (int i = 0; i < ours.length; i++) {
            for (int at = 0; at < ours[i].length; at++) {
                if (Math.abs(ours[i][at] - theirs[i][at]) > TOLERANCE * Math.abs(ours[i][at]) + 1e-9f) {
                    throw new IllegalStateException("array " + i + " differs at " + at + ": generated "
                            + ours[i][at] + ", C " + theirs[i][at]);
                }
            }
        }
    }

    private static float[][] values(MemorySegment[] arrays) {
        var values = new float[arrays.length][];
        for (int i = 0; i < arrays.length; i++) {
            values[i] = arrays[i].toArray(ValueLayout.JAVA_FLOAT);
        }
        return values;
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
        c.adamw(subject, hyper, THREADS);
        nanos.theirs += System.nanoTime() - start;
    }

    @TearDown
    public void tearDown() {
        subject.close();
    }
}
