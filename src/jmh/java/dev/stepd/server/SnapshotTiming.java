package dev.stepd.server;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.CompletableFuture;
import java.util.regex.Pattern;
import java.util.stream.LongStream;

/// What snapshots of an AdamW session cost its steps, and how fast they are written and read back, over HTTP on the disk of temporary
/// files.
///
/// @param quiet, during nanoseconds of each step while no snapshot is written, and while one is
/// @param bytes of a snapshot
/// @param writing, reading nanoseconds of a snapshot, and of a restore
/// @param unchangedBytes what the process wrote to the disk for a further snapshot of the same state, mostly
public record SnapshotTiming(long[] quiet, long[] during, long bytes, double writing, double reading, double unchangedBytes) {
    private static final int ROUNDS = 9;
    private static final int WARMUP = 150;
    private static final int QUIET_STEPS = 25;
    private static final Pattern BYTES = Pattern.compile("\"bytes\":\\s*([0-9]+)");
    private static final Pattern ID = Pattern.compile("\"id\":\\s*\"([^\"]+)\"");
    private static final Pattern WRITTEN = Pattern.compile("(?m)^write_bytes: ([0-9]+)$");

    public static SnapshotTiming measure(int elements) throws IOException {
        try (var server = ServerProcess.stepd();
                var client = new TrainingClient(server.port(), elements);
                var other = new Connection(server.port(), 1 << 16)) {
            for (int i = 0; i < Math.max(10, WARMUP * 1_000_000L / elements); i++) {
                client.step();
            }
            double unchanged = unchanged(server, client, other);
            long bytes = Long.parseLong(find(BYTES, other.body()));
            var quiet = LongStream.builder();
            var during = LongStream.builder();
            for (int round = 0; round < ROUNDS; round++) {
                for (int i = 0; i < QUIET_STEPS; i++) {
                    quiet.add(nanos(client));
                }
                var snapshot = CompletableFuture.runAsync(() -> snapshot(other, client));
                while (!snapshot.isDone()) {
                    during.add(nanos(client));
                }
                snapshot.join();
            }
            return alone(client, other, quiet.build().toArray(), during.build().toArray(), bytes, unchanged);
        }
    }

    /// Before anything was removed: H2 tidies up later, which is no later snapshot's doing.
    private static double unchanged(ServerProcess server, TrainingClient client, Connection other) throws IOException {
        snapshot(other, client);
        var unchanged = new double[ROUNDS];
        for (int i = 0; i < ROUNDS; i++) {
            long before = written(server);
            snapshot(other, client);
            unchanged[i] = written(server) - before;
        }
        return median(unchanged);
    }

    private static SnapshotTiming alone(TrainingClient client, Connection other, long[] quiet, long[] during, long bytes, double unchanged)
            throws IOException {
        var writing = new double[ROUNDS];
        var reading = new double[ROUNDS];
        for (int i = 0; i < ROUNDS; i++) {
            client.step();
            long start = System.nanoTime();
            snapshot(other, client);
            writing[i] = System.nanoTime() - start;
            var id = find(ID, other.body());
            start = System.nanoTime();
            call(other, client.session() + "/restore", "{\"snapshot\": \"" + id + "\"}");
            reading[i] = System.nanoTime() - start;
        }
        return new SnapshotTiming(quiet, during, bytes, median(writing), median(reading), unchanged);
    }

    /// How much longer the mean step takes while a snapshot is written.
    public double slowdown() {
        return Arrays.stream(during).average().orElseThrow() / Arrays.stream(quiet).average().orElseThrow();
    }

    public static double quantile(long[] nanos, double q) {
        var sorted = nanos.clone();
        Arrays.sort(sorted);
        return sorted[(int) Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
    }

    private static double median(double[] nanos) {
        Arrays.sort(nanos);
        return nanos[nanos.length / 2];
    }

    private static long nanos(TrainingClient client) throws IOException {
        long start = System.nanoTime();
        client.step();
        return System.nanoTime() - start;
    }

    private static void snapshot(Connection connection, TrainingClient client) {
        try {
            call(connection, client.session() + "/snapshots", "{\"pinned\": false}");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void call(Connection connection, String path, String json) throws IOException {
        connection.send(Connection.request("POST", path, "application/json", ByteBuffer.wrap(json.getBytes(StandardCharsets.UTF_8))));
        connection.receive();
    }

    private static long written(ServerProcess server) throws IOException {
        return Long.parseLong(find(WRITTEN, Files.readString(Path.of("/proc/" + server.pid() + "/io"))));
    }

    private static String find(Pattern pattern, String text) {
        var match = pattern.matcher(text);
        if (!match.find()) {
            throw new IllegalStateException("no " + pattern + " in " + text);
        }
        return match.group(1);
    }
}
