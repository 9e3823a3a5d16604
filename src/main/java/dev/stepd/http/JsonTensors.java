package dev.stepd.http;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import dev.stepd.error.ErrorCode;
import dev.stepd.error.Nearest;
import dev.stepd.error.ServiceException;
import dev.stepd.session.Incoming;
import dev.stepd.tensor.DType;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletionStage;
import java.util.function.Function;

/// Turns `{"gradients": {"w": [[1, 2], [3, 4]]}}` into the safetensors body it stands for, so that there is one path
/// of checks behind both. What only JSON can get wrong is refused here: ragged arrays, numbers beyond the dtype.
final class JsonTensors implements AutoCloseable {
    private final String field;
    private final Function<String, DType> dtypeOf;
    private final ByteBuf data = ByteBufAllocator.DEFAULT.directBuffer(1024);
    private final Map<String, Object> header = new LinkedHashMap<>();
    private ByteBuffer framed = ByteBuffer.allocate(0);

    private JsonTensors(String field, Function<String, DType> dtypeOf) {
        this.field = field;
        this.dtypeOf = dtypeOf;
    }

    /// @param field the one member of the body
    /// @param dtypeOf in which dtype a tensor's numbers are taken
    /// @throws ServiceException MALFORMED_BODY, UNKNOWN_NAME, INVALID_VALUE
    static JsonTensors read(InputStream bytes, String field, Function<String, DType> dtypeOf) {
        var tensors = new JsonTensors(field, dtypeOf);
        try {
            Json.read(bytes, tensors::body);
            tensors.frame();
            return tensors;
        } catch (RuntimeException refusal) {
            tensors.close();
            throw refusal;
        }
    }

    /// Bytes of the safetensors body.
    long byteCount() {
        return framed.remaining() + data.readableBytes();
    }

    /// Sends the safetensors body to where it belongs.
    <T> CompletionStage<T> pourInto(Incoming<T> incoming) {
        try (incoming) {
            incoming.write(framed.duplicate());
            incoming.write(data.nioBuffer());
            return incoming.finish();
        }
    }

    @Override
    public void close() {
        data.release();
    }

    private void frame() {
        var json = Json.bytes(header);
        framed = ByteBuffer.allocate(Long.BYTES + json.length).order(ByteOrder.LITTLE_ENDIAN);
        framed.putLong(json.length).put(json).flip();
    }

    private Void body(JsonParser parser) throws IOException {
        if (parser.nextToken() != JsonToken.START_OBJECT) {
            throw Json.malformed(parser, "expected an object {\"" + field + "\": {...}}");
        }
        boolean found = false;
        for (var name = parser.nextFieldName(); name != null; name = parser.nextFieldName()) {
            if (!name.equals(field)) {
                throw new ServiceException(ErrorCode.UNKNOWN_NAME,
                        "unknown field " + name + Nearest.hint(name, List.of(field)) + "; known is " + field);
            }
            found = true;
            tensors(parser);
        }
        if (!found) {
            throw new ServiceException(ErrorCode.INVALID_VALUE, field + " is missing");
        }
        return null;
    }

    private void tensors(JsonParser parser) throws IOException {
        if (parser.nextToken() != JsonToken.START_OBJECT) {
            throw new ServiceException(ErrorCode.INVALID_VALUE, field + " must be an object of tensors by name");
        }
        for (var name = parser.nextFieldName(); name != null; name = parser.nextFieldName()) {
            var dtype = dtypeOf.apply(name);
            var tensor = new Numbers(field + "." + name, dtype);
            int start = data.writerIndex();
            parser.nextToken();
            tensor.read(parser, 0);
            header.put(name, entry(dtype, tensor.shape(), List.of(start, data.writerIndex())));
        }
    }

    /// In the same order in every process: a step that is sent again is known by the bytes of its body.
    private static Map<String, Object> entry(DType dtype, List<Long> shape, List<Integer> offsets) {
        var entry = new LinkedHashMap<String, Object>();
        entry.put("dtype", dtype.name());
        entry.put("shape", shape);
        entry.put("data_offsets", offsets);
        return entry;
    }

    /// The nested arrays of one tensor, read depth first.
    private final class Numbers {
        private final String path;
        private final DType dtype;
        private final List<Long> extents = new ArrayList<>();
        private final List<Long> index = new ArrayList<>();
        /// The depth numbers stand at; -1 before the first one.
        private int rank = -1;

        Numbers(String path, DType dtype) {
            this.path = path;
            this.dtype = dtype;
        }

        List<Long> shape() {
            return List.copyOf(extents);
        }

        void read(JsonParser parser, int depth) throws IOException {
            switch (parser.currentToken()) {
                case START_ARRAY -> readArray(parser, depth);
                case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> readNumber(parser, depth);
                case null, default -> throw refused(ErrorCode.INVALID_VALUE,
                        "is " + parser.getText() + ", expected a number or an array of them");
            }
        }

        private void readArray(JsonParser parser, int depth) throws IOException {
            if (rank >= 0 && depth >= rank) {
                throw refused(ErrorCode.INVALID_VALUE, "is an array where a number stood before: the tensor is ragged");
            }
            long count = 0;
            index.add(0L);
            while (parser.nextToken() != JsonToken.END_ARRAY) {
                index.set(depth, count++);
                read(parser, depth + 1);
            }
            index.removeLast();
            settle(depth, count);
        }

        /// The first array to end at a depth says how long the others are. Inner arrays end first, so that the depths
        /// below are known unless the array is empty.
        private void settle(int depth, long count) {
            while (extents.size() <= depth) {
                extents.add(-1L);
            }
            long known = extents.get(depth);
            if (known >= 0 && known != count) {
                throw refused(ErrorCode.INVALID_VALUE, "has " + count + " elements where " + known + " stood before: the tensor is ragged");
            }
            extents.set(depth, count);
        }

        private void readNumber(JsonParser parser, int depth) throws IOException {
            if (rank >= 0 && rank != depth || rank < 0 && extents.size() > depth) {
                throw refused(ErrorCode.INVALID_VALUE, "is a number where an array stood before: the tensor is ragged");
            }
            rank = depth;
            if (!write(parser.getText())) {
                throw refused(ErrorCode.INVALID_VALUE, "is " + parser.getText() + ", beyond " + dtype);
            }
        }

        private boolean write(String number) {
            switch (dtype) {
                case F64 -> data.writeDoubleLE(Double.parseDouble(number));
                case F32 -> data.writeFloatLE(Float.parseFloat(number));
                case F16 -> data.writeShortLE(Float.floatToFloat16(Float.parseFloat(number)));
                case BF16 -> data.writeShortLE(bfloat16(Float.parseFloat(number)));
                case I64, I32, I8, U8 -> throw refused(ErrorCode.INVALID_VALUE,
                        "belongs to a tensor of " + dtype + "; send it as " + Media.SAFETENSORS_TYPE);
            }
            return finite();
        }

        /// Whether the number just written is one: a decimal may round to infinity.
        private boolean finite() {
            int end = data.writerIndex();
            return switch (dtype) {
                case F64 -> Double.isFinite(data.getDoubleLE(end - 8));
                case F32 -> Float.isFinite(data.getFloatLE(end - 4));
                case F16 -> Float.isFinite(Float.float16ToFloat(data.getShortLE(end - 2)));
                case BF16 -> Float.isFinite(Float.intBitsToFloat(data.getShortLE(end - 2) << 16));
                case I64, I32, I8, U8 -> true;
            };
        }

        private ServiceException refused(ErrorCode code, String reason) {
            var at = new StringBuilder(path);
            index.forEach(i -> at.append('[').append(i).append(']'));
            return new ServiceException(code, at + " " + reason);
        }
    }

    /// To nearest, ties to even.
    private static int bfloat16(float value) {
        int bits = Float.floatToRawIntBits(value);
        return (bits + 0x7fff + (bits >>> 16 & 1)) >>> 16;
    }
}
