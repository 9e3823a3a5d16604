package dev.stepd.server;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Random;

/// A session of one tensor on a connection of its own, with the same gradients in every step.
final class TrainingClient implements AutoCloseable {
    private static final String SAFETENSORS = "application/vnd.safetensors";

    private final Connection connection;
    private final ByteBuffer step;
    private final int bodyBytes;
    private final String session;

    /// @param elements of an AdamW session
    TrainingClient(int port, int elements) throws IOException {
        this(port, elements, "none");
    }

    /// @param durability what the session keeps
    TrainingClient(int port, int elements, String durability) throws IOException {
        var parameters = body(elements, 0.05f);
        var gradients = body(elements, 0.01f);
        bodyBytes = gradients.remaining();
        connection = new Connection(port, bodyBytes + 1024);
        var description = """
                {"optimizer": {"name": "adamw"}, "tensors": [{"name": "w", "shape": [%d]}], "durability": "%s"}"""
                .formatted(elements, durability);
        call(Connection.request("POST", "/v1/sessions", "application/json",
                ByteBuffer.wrap(description.getBytes(StandardCharsets.UTF_8))));
        session = location();
        call(Connection.request("PUT", session + "/parameters", SAFETENSORS, parameters));
        step = Connection.request("POST", session + "/steps", SAFETENSORS, gradients);
    }

    private static ByteBuffer body(int elements, float scale) {
        var json = "{\"w\":{\"dtype\":\"F32\",\"shape\":[%d],\"data_offsets\":[0,%d]}}"
                .formatted(elements, elements * Float.BYTES);
        int padded = Math.ceilDiv(json.length(), 8) * 8;
        var body = ByteBuffer.allocateDirect(8 + padded + elements * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        body.putLong(padded).put((json + " ".repeat(padded - json.length())).getBytes(StandardCharsets.US_ASCII));
        var random = new Random(1);
        for (int i = 0; i < elements; i++) {
            body.putFloat((random.nextFloat() - 0.5f) * scale);
        }
        return body.flip();
    }

    private void call(ByteBuffer request) throws IOException {
        connection.send(request);
        connection.receive();
    }

    private String location() {
        return connection.head().lines()
                .filter(line -> line.toLowerCase(java.util.Locale.ROOT).startsWith("location:"))
                .map(line -> line.substring("location:".length()).trim())
                .findFirst()
                .orElseThrow();
    }

    /// The path of the session.
    String session() {
        return session;
    }

    /// Bytes of the gradients, and of the deltas, with their frame.
    int bodyBytes() {
        return bodyBytes;
    }

    void send() throws IOException {
        connection.send(step);
    }

    void receive() throws IOException {
        int bytes = connection.receive();
        if (bytes != bodyBytes) {
            throw new IllegalStateException("the deltas have " + bytes + " bytes, the gradients " + bodyBytes);
        }
    }

    void step() throws IOException {
        send();
        receive();
    }

    @Override
    public void close() throws IOException {
        connection.close();
    }
}
