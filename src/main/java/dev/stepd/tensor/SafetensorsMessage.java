package dev.stepd.tensor;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;

/// A safetensors body ready to leave: its framed header and the data that follows, in order, from the memory it lies
/// in.
///
/// @param header the u64 length and the JSON, ready to send; read through duplicates only
/// @param data the tensors' bytes end to end; not owned
public record SafetensorsMessage(ByteBuffer header, List<MemorySegment> data) {
    public SafetensorsMessage {
        data = List.copyOf(data);
    }

    /// The message of these parts. Whoever sends the same header often builds it once with [SafetensorsHeader#framed],
    /// and whoever knows that parts are neighbours in memory hands them over as one segment.
    public static SafetensorsMessage of(List<Part> parts, Map<String, String> metadata) {
        var data = parts.stream().map(Part::data).filter(segment -> segment.byteSize() > 0).toList();
        return new SafetensorsMessage(SafetensorsHeader.of(parts, metadata).framed(), data);
    }

    /// Bytes of the whole body.
    public long byteCount() {
        return header.remaining() + data.stream().mapToLong(MemorySegment::byteSize).sum();
    }
}
