package dev.stepd.tensor;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.List;

/// A safetensors body ready to leave: its framed header and the data that follows, in order, from the memory it lies in.
///
/// @param header the u64 length and the JSON, ready to send; read through duplicates only
/// @param data the tensors' bytes end to end; not owned
public record SafetensorsMessage(ByteBuffer header, List<MemorySegment> data) {
    public SafetensorsMessage {
        data = List.copyOf(data);
    }

    /// Bytes of the whole body.
    public long byteCount() {
        return header.remaining() + data.stream().mapToLong(MemorySegment::byteSize).sum();
    }
}
