package dev.stepd.session;

import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.engine.Engine;
import dev.stepd.store.jdbc.JdbcSnapshotStore;
import dev.stepd.store.journal.Journals;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;

/// How long recovery takes to take steps again, and how long sessions take for them in the same process, from a body in memory.
///
/// @param replay, stepping nanoseconds of one step, of the former the median of several recoveries
public record ReplayTiming(double replay, double stepping) {
    private static final int ELEMENTS = 1_000_000;
    private static final int ROUNDS = 9;
    private static final int FEW = 8;
    private static final int MANY = 108;
    private static final Sessions.Limits LIMITS = new Sessions.Limits(1 << 20, 1L << 30, 100, Duration.ofHours(1));

    public static ReplayTiming measure() throws IOException {
        var folder = Files.createTempDirectory("stepd-bench");
        try {
            recovery(folder.resolve("warm"), MANY);
            var replays = new double[ROUNDS];
            for (int i = 0; i < ROUNDS; i++) {
                // what opening and compiling take is in both
                long few = recovery(folder.resolve("few" + i), FEW);
                long many = recovery(folder.resolve("many" + i), MANY);
                replays[i] = (many - few) / (double) (MANY - FEW);
            }
            Arrays.sort(replays);
            return new ReplayTiming(replays[ROUNDS / 2], stepping(folder.resolve("none")));
        } finally {
            try (var files = Files.walk(folder)) {
                for (var file : files.sorted(Comparator.reverseOrder()).toList()) {
                    Files.delete(file);
                }
            }
        }
    }

    private static long recovery(Path folder, int steps) throws IOException {
        Files.createDirectories(folder);
        try (var engine = engine()) {
            try (var store = JdbcSnapshotStore.h2(folder); var journals = new Journals(folder.resolve("journal"), 64 << 20)) {
                var session = create(new Sessions(engine, store, journals, LIMITS), "journal");
                var body = body();
                for (int i = 0; i < steps; i++) {
                    step(session, body);
                }
            }
            // not closed, as if killed
            try (var store = JdbcSnapshotStore.h2(folder);
                    var journals = new Journals(folder.resolve("journal"), 64 << 20);
                    var sessions = new Sessions(engine, store, journals, LIMITS)) {
                long start = System.nanoTime();
                sessions.recover();
                return System.nanoTime() - start;
            }
        }
    }

    private static double stepping(Path folder) throws IOException {
        Files.createDirectories(folder);
        try (var engine = engine();
                var store = JdbcSnapshotStore.h2(folder);
                var journals = new Journals(folder.resolve("journal"), 64 << 20);
                var sessions = new Sessions(engine, store, journals, LIMITS)) {
            var session = create(sessions, "none");
            var body = body();
            long start = 0;
            for (int i = -FEW; i < MANY; i++) {
                if (i == 0) {
                    start = System.nanoTime();
                }
                step(session, body);
            }
            return (System.nanoTime() - start) / (double) MANY;
        }
    }

    private static Engine engine() {
        return new Engine(new CpuDevice(1L << 30, Runtime.getRuntime().availableProcessors()));
    }

    private static Session create(Sessions sessions, String durability) {
        var session = sessions.create(Map.of("optimizer", Map.of("name", "adamw"), "durability", durability,
                "tensors", List.of(Map.of("name", "w", "shape", List.of(ELEMENTS)))));
        var body = body();
        try (var incoming = session.receiveParameters(body.remaining())) {
            incoming.write(body);
            incoming.finish().toCompletableFuture().join();
        }
        return session;
    }

    private static void step(Session session, ByteBuffer body) {
        var order = new StepOrder(OptionalLong.empty(), false, StepOrder.Return.DELTA, body.remaining());
        try (var incoming = session.receiveStep(order)) {
            incoming.write(body.duplicate());
            incoming.finish().toCompletableFuture().join().close();
        }
    }

    private static ByteBuffer body() {
        var header = "{\"w\":{\"dtype\":\"F32\",\"shape\":[%d],\"data_offsets\":[0,%d]}}".formatted(ELEMENTS, ELEMENTS * Float.BYTES).getBytes();
        var body = ByteBuffer.allocateDirect(Long.BYTES + header.length + ELEMENTS * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        body.putLong(header.length).put(header);
        for (int i = 0; i < ELEMENTS; i++) {
            body.putFloat((i % 101 - 50) * 1e-3f);
        }
        return body.flip();
    }
}
