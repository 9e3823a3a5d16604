package dev.stepd.server;

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

/// How long one client waits for a step of 100 thousand parameters.
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 8, time = 1)
@Measurement(iterations = 20, time = 250, timeUnit = TimeUnit.MILLISECONDS)
@Fork(1)
public class StepLatencyBenchmark {
    static final int ELEMENTS = 100_000;

    private ServerProcess server;
    private TrainingClient client;

    @Setup
    public void setUp() throws IOException {
        server = ServerProcess.stepd();
        client = new TrainingClient(server.port(), ELEMENTS);
    }

    @Benchmark
    public void step() throws IOException {
        client.step();
    }

    @TearDown
    public void tearDown() throws IOException {
        client.close();
        server.close();
    }
}
