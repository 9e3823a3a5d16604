package dev.stepd.engine;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/// The update of every rule, and the bytes it has to move.
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 5, time = 50, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 15, time = 50, timeUnit = TimeUnit.MILLISECONDS)
@Fork(1)
public class RuleBenchmark {
    public static final long ELEMENTS = 16_000_000;

    /// Bytes an update moves for each parameter.
    @AuxCounters(AuxCounters.Type.EVENTS)
    @State(Scope.Thread)
    public static class Traffic {
        public long bytes;
    }

    @Param({"sgd", "signsgd", "signum", "adagrad", "rmsprop", "adadelta", "adam", "adamw", "amsgrad", "adamax", "nadam",
        "radam", "lion", "adan"})
    public String optimizer;

    private Subject subject;

    @Setup
    public void setUp() {
        subject = new Subject(optimizer, ELEMENTS, KernelBenchmark.THREADS);
    }

    @Setup(Level.Iteration)
    public void refill() {
        subject.refill(); // deltas of deltas would fade to denormals
    }

    @Benchmark
    public void update(Traffic traffic) {
        subject.update();
        traffic.bytes = subject.movedBytes();
    }

    @TearDown
    public void tearDown() {
        subject.close();
    }
}
