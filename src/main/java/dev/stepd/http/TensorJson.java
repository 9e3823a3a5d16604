package dev.stepd.http;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.SafetensorsMessage;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Map;

/// Writes a message as JSON, for people: every tensor as nested arrays, in the fewest digits that read back to the
/// same value. NaN and infinity, which JSON has no word for, become null.
final class TensorJson {
    private TensorJson() {}

    /// @throws ServiceException INVALID_REQUEST when the tensors are too large to be read by people
    static void requireSmall(long tensorBytes, long limitBytes) {
        if (tensorBytes > limitBytes) {
            throw new ServiceException(ErrorCode.INVALID_REQUEST, "the answer holds " + tensorBytes
                    + " bytes of tensors, JSON answers hold at most " + limitBytes + "; ask with Accept: " + Media.SAFETENSORS_TYPE);
        }
    }

    /// `{...members, "field": {"w": [[...]]}}`
    ///
    /// @param members what stands before the tensors, such as the step
    static byte[] bytes(Map<String, Object> members, String field, SafetensorsMessage message) {
        var out = new ByteArrayOutputStream(1024);
        try (var generator = Json.FACTORY.createGenerator(out)) {
            generator.writeStartObject();
            for (var member : members.entrySet()) {
                generator.writeFieldName(member.getKey());
                Json.write(generator, member.getValue());
            }
            generator.writeObjectFieldStart(field);
            writeTensors(generator, message);
            generator.writeEndObject();
            generator.writeEndObject();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return out.toByteArray();
    }

    private static void writeTensors(JsonGenerator out, SafetensorsMessage message) throws IOException {
        var data = gathered(message);
        for (var entry : header(message).entrySet()) {
            if (entry.getKey().equals("__metadata__")) {
                continue;
            }
            var tensor = (Map<?, ?>) entry.getValue();
            var dtype = DType.of(entry.getKey(), (String) tensor.get("dtype"));
            var start = ((Number) ((List<?>) tensor.get("data_offsets")).getFirst()).intValue();
            out.writeFieldName(entry.getKey());
            writeArray(out, data.position(start), dtype, (List<?>) tensor.get("shape"));
        }
    }

    private static Map<String, Object> header(SafetensorsMessage message) {
        var framed = message.header().duplicate();
        framed.position(framed.position() + Long.BYTES);
        var json = new byte[framed.remaining()];
        framed.get(json);
        @SuppressWarnings("unchecked")
        var header = (Map<String, Object>) Json.parse(new ByteArrayInputStream(json));
        return header;
    }

    private static ByteBuffer gathered(SafetensorsMessage message) {
        long bytes = message.data().stream().mapToLong(MemorySegment::byteSize).sum();
        var gathered = ByteBuffer.allocate(Math.toIntExact(bytes)).order(ByteOrder.LITTLE_ENDIAN);
        message.data().forEach(segment -> gathered.put(segment.asByteBuffer()));
        return gathered;
    }

    private static void writeArray(JsonGenerator out, ByteBuffer data, DType dtype, List<?> shape) throws IOException {
        if (shape.isEmpty()) {
            writeNumber(out, data, dtype);
            return;
        }
        out.writeStartArray();
        for (long i = 0; i < ((Number) shape.getFirst()).longValue(); i++) {
            writeArray(out, data, dtype, shape.subList(1, shape.size()));
        }
        out.writeEndArray();
    }

    private static void writeNumber(JsonGenerator out, ByteBuffer data, DType dtype) throws IOException {
        switch (dtype) {
            case F64 -> Json.writeFinite(out, data.getDouble());
            case F32 -> Json.writeFinite(out, data.getFloat());
            case F16 -> Json.writeFinite(out, Float.float16ToFloat(data.getShort()));
            case BF16 -> Json.writeFinite(out, Float.intBitsToFloat(data.getShort() << 16));
            case I64 -> out.writeNumber(data.getLong());
            case I32 -> out.writeNumber(data.getInt());
            case I8 -> out.writeNumber(data.get());
            case U8 -> out.writeNumber(Byte.toUnsignedInt(data.get()));
        }
    }
}
