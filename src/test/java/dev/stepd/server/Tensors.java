package dev.stepd.server;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Collectors;

/// Safetensors bodies for tests, right ones and wrong ones.
public final class Tensors {
    private final StringBuilder entries = new StringBuilder();
    private final ByteArrayOutputStream data = new ByteArrayOutputStream();

    public static Tensors none() {
        return new Tensors();
    }

    /// An F32 tensor of one dimension.
    public static byte[] f32(String name, float... values) {
        return none().with(name, new long[] {values.length}, values).body();
    }

    public Tensors with(String name, long[] shape, float... values) {
        var bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        for (float value : values) {
            bytes.putFloat(value);
        }
        return with(name, "F32", shape, bytes.array());
    }

    public Tensors with(String name, String dtype, long[] shape, byte[] bytes) {
        var extents = Arrays.stream(shape).mapToObj(Long::toString).collect(Collectors.joining(","));
        entries.append(entries.isEmpty() ? "" : ",").append("\"").append(name).append("\":{\"dtype\":\"").append(dtype)
                .append("\",\"shape\":[").append(extents).append("],\"data_offsets\":[").append(data.size()).append(',')
                .append(data.size() + bytes.length).append("]}");
        data.writeBytes(bytes);
        return this;
    }

    public byte[] body() {
        return framed("{" + entries + "}", data.toByteArray());
    }

    /// A body of this header and this data, whatever they say.
    public static byte[] framed(String header, byte[] data) {
        var json = header.getBytes(StandardCharsets.UTF_8);
        return framed(json.length, header, data);
    }

    public static byte[] framed(long headerLength, String header, byte[] data) {
        var json = header.getBytes(StandardCharsets.UTF_8);
        return ByteBuffer.allocate(8 + json.length + data.length).order(ByteOrder.LITTLE_ENDIAN)
                .putLong(headerLength).put(json).put(data).array();
    }

    /// The F32 tensors of a body.
    public static Map<String, float[]> byName(byte[] body) throws IOException {
        int length = (int) ByteBuffer.wrap(body).order(ByteOrder.LITTLE_ENDIAN).getLong(0);
        var all = values(body);
        var tensors = new LinkedHashMap<String, float[]>();
        new ObjectMapper().readTree(body, 8, length).properties().forEach(entry -> {
            var offsets = entry.getValue().get("data_offsets");
            if (offsets != null) {
                tensors.put(entry.getKey(), Arrays.copyOfRange(all, offsets.get(0).asInt() / 4, offsets.get(1).asInt() / 4));
            }
        });
        return tensors;
    }

    /// The first F32 values of a body's data.
    public static float[] values(byte[] body) {
        var buffer = ByteBuffer.wrap(body).order(ByteOrder.LITTLE_ENDIAN);
        int start = 8 + (int) buffer.getLong(0);
        var values = new float[(body.length - start) / 4];
        for (int i = 0; i < values.length; i++) {
            values[i] = buffer.getFloat(start + 4 * i);
        }
        return values;
    }
}
