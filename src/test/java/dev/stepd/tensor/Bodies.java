package dev.stepd.tensor;

import java.io.ByteArrayOutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/// Safetensors bodies for tests, right and wrong ones, and destinations that notice a stray write.
public final class Bodies {
    private static final byte GUARD = (byte) 0xA5;
    private static final int GUARD_BYTES = 64;

    private Bodies() {}

    /// A body as its parts are spelled, whatever they say.
    public static byte[] body(String json, byte[] data) {
        return body(json.getBytes(StandardCharsets.UTF_8), data);
    }

    public static byte[] body(byte[] json, byte[] data) {
        return ByteBuffer.allocate(8 + json.length + data.length)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(json.length)
                .put(json)
                .put(data)
                .array();
    }

    /// A good body of F32 tensors.
    public static byte[] floats(String name, float... values) {
        return body("{\"" + name + "\":{\"dtype\":\"F32\",\"shape\":[" + values.length + "],\"data_offsets\":[0,"
                + 4 * values.length + "]}}", bytes(values));
    }

    public static byte[] bytes(float... values) {
        var buffer = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        for (float value : values) {
            buffer.putFloat(value);
        }
        return buffer.array();
    }

    /// The bytes a message sends.
    public static byte[] sent(SafetensorsMessage message) {
        var bytes = new ByteArrayOutputStream();
        var header = new byte[message.header().remaining()];
        message.header().duplicate().get(header);
        bytes.writeBytes(header);
        for (var segment : message.data()) {
            bytes.writeBytes(segment.toArray(ValueLayout.JAVA_BYTE));
        }
        return bytes.toByteArray();
    }

    /// Destinations in off-heap memory with guard bytes on both sides of each.
    public static final class Guarded implements SafetensorsReceiver.Destinations, AutoCloseable {
        private final Arena arena = Arena.ofShared();
        private final List<MemorySegment> whole = new ArrayList<>();
        public final List<Part> parts = new ArrayList<>();

        @Override
        public List<Part> choose(SafetensorsHeader header) {
            for (var entry : header.entries()) {
                var dtype = Widening.from(entry.dtype()) ? DType.F32 : entry.dtype();
                long bytes = entry.shape().elementCount() * dtype.bytes();
                var segment = arena.allocate(bytes + 2 * GUARD_BYTES, 64).fill(GUARD);
                whole.add(segment);
                parts.add(new Part(entry.key(), dtype, entry.shape(), segment.asSlice(GUARD_BYTES, bytes)));
            }
            return parts;
        }

        public boolean intact() {
            return whole.stream().allMatch(segment -> {
                long end = segment.byteSize();
                for (long i = 0; i < GUARD_BYTES; i++) {
                    if (segment.get(ValueLayout.JAVA_BYTE, i) != GUARD
                            || segment.get(ValueLayout.JAVA_BYTE, end - 1 - i) != GUARD) {
                        return false;
                    }
                }
                return true;
            });
        }

        public float[] values(String key) {
            var part = parts.stream().filter(p -> p.key().equals(key)).findFirst().orElseThrow();
            return part.data().toArray(ValueLayout.JAVA_FLOAT_UNALIGNED);
        }

        @Override
        public void close() {
            arena.close();
        }
    }
}
