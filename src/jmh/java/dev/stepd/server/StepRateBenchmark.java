package dev.stepd.server;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/// How many small steps the server takes: as many sessions as connections, each with one step under way. One thread goes
/// round them, so that the client leaves as much of the machine to the server as it can.
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 10, time = 1)
@Measurement(iterations = 20, time = 250, timeUnit = TimeUnit.MILLISECONDS)
@Fork(1)
public class StepRateBenchmark {
    /// Bodies of 4 KB.
    static final int ELEMENTS = 1_000;
    static final int CONNECTIONS = 16;

    private final List<TrainingClient> clients = new ArrayList<>();
    private ServerProcess server;

    @Setup
    public void setUp() throws IOException {
        server = ServerProcess.stepd();
        for (int i = 0; i < CONNECTIONS; i++) {
            clients.add(new TrainingClient(server.port(), ELEMENTS));
            clients.getLast().send();
        }
    }

    @Benchmark
    @OperationsPerInvocation(CONNECTIONS)
    public void round() throws IOException {
        for (int i = 0; i < CONNECTIONS; i++) {
            var client = clients.get(i);
            client.receive();
            client.send();
        }
    }

    @TearDown
    public void tearDown() throws IOException {
        for (var client : clients) {
            client.receive();
            client.close();
        }
        server.close();
    }
}
