package dev.stepd.tensor;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// What a safetensors body declares before its data. A header that exists keeps every rule of the format: its entries
/// lie end to end from 0, without hole or overlap, each exactly as long as its shape and dtype say.
///
/// @param entries in the order of their data
/// @param metadata `__metadata__`, in the order it came
public record SafetensorsHeader(List<Entry> entries, Map<String, String> metadata) {
    /// One tensor.
    ///
    /// @param begin first byte, relative to the start of the data
    /// @param end first byte behind it
    public record Entry(String key, DType dtype, Shape shape, long begin, long end) {
        public long byteCount() {
            return end - begin;
        }
    }

    private static final int LENGTH_BYTES = 8;

    public SafetensorsHeader {
        entries = List.copyOf(entries);
        metadata = Collections.unmodifiableMap(new LinkedHashMap<>(metadata));
    }

    /// The header of parts that are sent end to end.
    public static SafetensorsHeader of(List<Part> parts, Map<String, String> metadata) {
        var entries = new ArrayList<Entry>(parts.size());
        long offset = 0;
        for (var part : parts) {
            long end = Math.addExact(offset, part.data().byteSize());
            entries.add(new Entry(part.key(), part.dtype(), part.shape(), offset, end));
            offset = end;
        }
        return new SafetensorsHeader(entries, metadata);
    }

    /// Reads the JSON of a header.
    ///
    /// @throws dev.stepd.error.ServiceException `MALFORMED_BODY` naming the rule it breaks
    public static SafetensorsHeader parse(String json) {
        var bytes = json.getBytes(StandardCharsets.UTF_8);
        return HeaderJson.parse(bytes, bytes.length);
    }

    /// Bytes of all tensors together.
    public long dataBytes() {
        return entries.isEmpty() ? 0 : entries.getLast().end();
    }

    public String json() {
        return HeaderJson.write(this).toString(StandardCharsets.UTF_8);
    }

    /// The u64 length and the JSON, padded with spaces so that the data behind it starts 8-byte aligned. Read-only
    /// and direct: build it once, send duplicates.
    public ByteBuffer framed() {
        var json = HeaderJson.write(this).toByteArray();
        int padded = Math.ceilDiv(json.length, LENGTH_BYTES) * LENGTH_BYTES;
        var framed = ByteBuffer.allocateDirect(LENGTH_BYTES + padded).order(java.nio.ByteOrder.LITTLE_ENDIAN);
        framed.putLong(padded).put(json);
        while (framed.hasRemaining()) {
            framed.put((byte) ' ');
        }
        return framed.flip().asReadOnlyBuffer();
    }
}
