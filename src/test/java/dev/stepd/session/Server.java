package dev.stepd.session;

import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.engine.Engine;
import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.session.StepOrder.Return;
import dev.stepd.store.SnapshotStore;
import dev.stepd.store.jdbc.JdbcSnapshotStore;
import dev.stepd.store.journal.Journals;
import dev.stepd.tensor.Bodies;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.Part;
import dev.stepd.tensor.SafetensorsHeader;
import dev.stepd.tensor.SafetensorsMessage;
import dev.stepd.tensor.Shape;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/// Sessions over the real engine and a real database, as one process has them; and what clients do with them.
final class Server implements AutoCloseable {
    static final Sessions.Limits LIMITS = new Sessions.Limits(1 << 20, 1L << 30, 1000, Duration.ofHours(1));
    static final long MEMORY_BYTES = 1L << 30;
    private static final long SEGMENT_BYTES = 1 << 20;

    final Engine engine;
    final SnapshotStore store;
    final Journals journals;
    final Sessions sessions;

    Server(Path folder) {
        this(folder, SEGMENT_BYTES);
    }

    /// @param segmentBytes at which journals begin another file
    Server(Path folder, long segmentBytes) {
        this(JdbcSnapshotStore.h2(folder), new Journals(folder.resolve("journal"), segmentBytes), LIMITS,
                new Engine(new CpuDevice(MEMORY_BYTES, 2)));
    }

    Server(SnapshotStore store, Sessions.Limits limits, long memoryBytes) {
        this(store, limits, new Engine(new CpuDevice(memoryBytes, 2)));
    }

    /// @param engine the server's own from now on
    Server(SnapshotStore store, Sessions.Limits limits, Engine engine) {
        this(store, new Journals(Path.of("target", "journals"), SEGMENT_BYTES), limits, engine);
    }

    Server(SnapshotStore store, Journals journals, Sessions.Limits limits, Engine engine) {
        this(store, journals, limits, engine, null);
    }

    /// @param spool where copies go that memory has no room for; null for nowhere
    Server(SnapshotStore store, Journals journals, Sessions.Limits limits, Engine engine, @Nullable Path spool) {
        this.engine = engine;
        this.store = store;
        this.journals = journals;
        sessions = new Sessions(engine, store, journals, limits, spool);
        sessions.recover();
    }

    Session create(String json) {
        return sessions.create(object(json));
    }

    /// Ends as a killed process does: nothing is finished or stored, the memory is gone.
    void kill() {
        store.close();
    }

    @Override
    public void close() {
        sessions.close();
        journals.close();
        store.close();
        engine.close();
    }

    @SuppressWarnings("unchecked")
    static Map<String, Object> object(String json) {
        try {
            return (Map<String, Object>) Json.read(json);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static <T> T get(CompletionStage<T> stage) {
        try {
            return stage.toCompletableFuture().get(30, TimeUnit.SECONDS);
        } catch (ExecutionException e) {
            throw e.getCause() instanceof RuntimeException known ? known : new IllegalStateException(e.getCause());
        } catch (InterruptedException | TimeoutException e) {
            throw new IllegalStateException(e);
        }
    }

    static StepOrder order(long number, byte[] body) {
        return new StepOrder(number == 0 ? OptionalLong.empty() : OptionalLong.of(number), false, Return.DELTA, body.length);
    }

    /// Posts a step; its answer's body is read and released.
    static Reply step(Session session, long number, byte[] body) {
        return step(session, order(number, body), body);
    }

    static Reply step(Session session, StepOrder order, byte[] body) {
        try (var incoming = session.receiveStep(order)) {
            incoming.write(ByteBuffer.wrap(body));
            return reply(get(incoming.finish()));
        }
    }

    static Reply reply(StepAnswer answer) {
        try (answer) {
            return new Reply(answer.step(), answer.replayed(), answer.durableStep(), answer.gradNorm(), read(answer.message()));
        }
    }

    static Session.Status upload(Session session, byte[] parameters) {
        return put(session.receiveParameters(parameters.length), parameters);
    }

    static Session.Status put(Incoming<Session.Status> incoming, byte[] body) {
        try (incoming) {
            incoming.write(ByteBuffer.wrap(body));
            return get(incoming.finish());
        }
    }

    /// Waits until the snapshots that are queued are written.
    static void settle(Session session) {
        ((LiveSession) session.life()).snapshots().afterTheOthers(() -> {}).join();
    }

    static byte[] sent(CompletionStage<Session.Download> stage) {
        try (var download = get(stage)) {
            return Bodies.sent(download.message());
        }
    }

    static Map<String, List<Float>> read(CompletionStage<Session.Download> stage) {
        return read(sent(stage));
    }

    static Map<String, List<Float>> read(SafetensorsMessage message) {
        return read(Bodies.sent(message));
    }

    static Map<String, List<Float>> read(byte[] body) {
        var bytes = ByteBuffer.wrap(body).order(ByteOrder.LITTLE_ENDIAN);
        int length = (int) bytes.getLong();
        var header = SafetensorsHeader.parse(new String(body, 8, length, StandardCharsets.UTF_8));
        var values = new LinkedHashMap<String, List<Float>>();
        for (var entry : header.entries()) {
            var list = new ArrayList<Float>();
            for (long at = entry.begin(); at < entry.end(); at += 4) {
                list.add(bytes.getFloat((int) (8 + length + at)));
            }
            values.put(entry.key(), list);
        }
        return values;
    }

    /// A body of one-dimensional F32 tensors, in the order given.
    static byte[] body(Object... namesAndValues) {
        return body(Map.of(), namesAndValues);
    }

    static byte[] body(Map<String, String> metadata, Object... namesAndValues) {
        try (var arena = Arena.ofConfined()) {
            var parts = new ArrayList<Part>();
            for (int i = 0; i < namesAndValues.length; i += 2) {
                var values = (float[]) namesAndValues[i + 1];
                var data = arena.allocateFrom(ValueLayout.JAVA_FLOAT, values);
                parts.add(new Part((String) namesAndValues[i], DType.F32, Shape.of(values.length), data));
            }
            return Bodies.sent(SafetensorsMessage.of(parts, metadata));
        }
    }

    static ErrorCode codeOf(Throwable e) {
        return ((ServiceException) e).code();
    }

    record Reply(long step, boolean replayed, long durableStep, double gradNorm, Map<String, List<Float>> deltas) {}
}
