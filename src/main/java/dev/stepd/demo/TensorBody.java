package dev.stepd.demo;

import dev.stepd.tensor.SafetensorsHeader;
import dev.stepd.tensor.TensorSpec;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// Safetensors bodies of F32 tensors that lie end to end in one array.
final class TensorBody {
    static final String CONTENT_TYPE = "application/vnd.safetensors";
    private static final int LENGTH_BYTES = 8;

    private final SafetensorsHeader header;
    private final Map<String, Integer> places = new LinkedHashMap<>();

    TensorBody(List<TensorSpec> tensors) {
        var entries = new ArrayList<SafetensorsHeader.Entry>();
        long begin = 0;
        for (var tensor : tensors) {
            places.put(tensor.name(), (int) (begin / Float.BYTES));
            long end = begin + tensor.byteCount();
            entries.add(new SafetensorsHeader.Entry(tensor.name(), tensor.dtype(), tensor.shape(), begin, end));
            begin = end;
        }
        header = new SafetensorsHeader(entries, Map.of());
    }

    byte[] write(float[] values) {
        var head = header.framed();
        var body = ByteBuffer.allocate(head.remaining() + values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        body.put(head).asFloatBuffer().put(values);
        return body.array();
    }

    /// The values of a body, whatever the order of its tensors.
    float[] read(byte[] bytes) {
        var body = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        int headBytes = Math.toIntExact(body.getLong());
        var head = SafetensorsHeader.parse(new String(bytes, LENGTH_BYTES, headBytes, StandardCharsets.UTF_8));
        var values = new float[(int) (header.dataBytes() / Float.BYTES)];
        if (head.entries().size() != places.size()) {
            throw new IllegalStateException(head.entries().size() + " tensors were answered, not " + places.size());
        }
        for (var entry : head.entries()) {
            body.position(LENGTH_BYTES + headBytes + (int) entry.begin());
            body.asFloatBuffer().get(values, places.get(entry.key()), (int) entry.byteCount() / Float.BYTES);
        }
        return values;
    }
}
