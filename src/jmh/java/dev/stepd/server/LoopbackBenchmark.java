package dev.stepd.server;

import dev.stepd.bench.Nanos;
import dev.stepd.engine.Subject;
import java.io.IOException;
import java.nio.ByteBuffer;
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

/// A large step over loopback against what it is made of: an echo of the same bytes, and the same step in process. In turns.
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 20, time = 1, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 40, time = 1, timeUnit = TimeUnit.MILLISECONDS)
@Fork(2)
public class LoopbackBenchmark {
    static final int ELEMENTS = 10_000_000;

    private ServerProcess server;
    private ServerProcess echo;
    private TrainingClient client;
    private Connection raw;
    private ByteBuffer message;
    private Subject subject;

    @Setup
    public void setUp() throws IOException {
        subject = new Subject("adamw", ELEMENTS, Runtime.getRuntime().availableProcessors());
        server = ServerProcess.stepd();
        client = new TrainingClient(server.port(), ELEMENTS);
        echo = ServerProcess.echo();
        raw = new Connection(echo.port(), client.bodyBytes());
        message = ByteBuffer.allocateDirect(Long.BYTES + client.bodyBytes());
        message.putLong(client.bodyBytes()).rewind();
    }

    @Benchmark
    public void step(Nanos nanos) throws IOException {
        long start = System.nanoTime();
        client.step();
        long stepped = System.nanoTime();
        raw.send(message);
        raw.receive(client.bodyBytes());
        long echoed = System.nanoTime();
        subject.step();
        long done = System.nanoTime();
        nanos.ours += stepped - start;
        nanos.theirs += done - stepped;
        nanos.other += done - echoed;
    }

    @TearDown
    public void tearDown() throws IOException {
        client.close();
        raw.close();
        server.close();
        echo.close();
        subject.close();
    }
}
