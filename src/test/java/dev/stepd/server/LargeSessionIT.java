package dev.stepd.server;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// A session of more than 2^31 elements takes a step whose body and answer exceed 8 GiB. Needs 10 GB of memory.
@Tag("large")
class LargeSessionIT {
    private static final long ELEMENTS = (1L << 31) + 3 * 1024;
    /// Values repeat every three elements, so every chunk of this many bytes is the same.
    private static final int CHUNK_BYTES = 3 << 20;

    @Test
    void stepsBeyondWhatAnIntCounts(@TempDir Path data) throws IOException {
        try (var server = RunningServer.start(data, Map.of("memory", "20GB"))) {
            var session = server.session("""
                    {"optimizer": {"name": "signsgd", "lr": 0.5}, "durability": "none",
                     "tensors": [{"name": "w", "shape": [%d]}]}""".formatted(ELEMENTS));
            try (var socket = SocketChannel.open(
                    new InetSocketAddress(server.address().getHost(), server.address().getPort()))) {
                send(socket, session + "/steps");
                receive(socket);
            }
        }
    }

    private static void send(SocketChannel socket, String target) throws IOException {
        var header = "{\"w\":{\"dtype\":\"F32\",\"shape\":[%d],\"data_offsets\":[0,%d]}}"
                .formatted(ELEMENTS, ELEMENTS * 4).getBytes(StandardCharsets.UTF_8);
        var request = "POST %s HTTP/1.1\r\nHost: stepd\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
                .formatted(target, RunningServer.SAFETENSORS, 8 + header.length + ELEMENTS * 4);
        write(socket, ByteBuffer.wrap(request.getBytes(StandardCharsets.US_ASCII)));
        var framing = ByteBuffer.allocate(8 + header.length).order(ByteOrder.LITTLE_ENDIAN);
        write(socket, framing.putLong(header.length).put(header).flip());
        var chunk = values(-1, 0, 1);
        for (long left = ELEMENTS * 4; left > 0; left -= CHUNK_BYTES) {
            write(socket, chunk.duplicate().limit((int) Math.min(CHUNK_BYTES, left)));
        }
    }

    private static void receive(SocketChannel socket) throws IOException {
        var head = readHead(socket);
        assertThat(head).startsWith("HTTP/1.1 200").contains("Stepd-Step: 1");
        int header = (int) read(socket, 8).order(ByteOrder.LITTLE_ENDIAN).getLong();
        assertThat(StandardCharsets.UTF_8.decode(read(socket, header)).toString()).contains("[" + ELEMENTS + "]");
        // -lr * sign(g); the sign of a zero is a zero
        var expected = values(0.5f, -0f, -0.5f);
        for (long left = ELEMENTS * 4; left > 0; left -= CHUNK_BYTES) {
            var chunk = read(socket, (int) Math.min(CHUNK_BYTES, left));
            int differs = chunk.mismatch(expected.duplicate().limit(chunk.limit()));
            assertThat(differs).as("first wrong byte of the chunk %d bytes from the end", left).isNegative();
        }
    }

    private static ByteBuffer values(float... three) {
        var chunk = ByteBuffer.allocateDirect(CHUNK_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; chunk.hasRemaining(); i++) {
            chunk.putFloat(three[i % 3]);
        }
        return chunk.flip();
    }

    private static void write(SocketChannel socket, ByteBuffer bytes) throws IOException {
        while (bytes.hasRemaining()) {
            socket.write(bytes);
        }
    }

    private static ByteBuffer read(SocketChannel socket, int count) throws IOException {
        var bytes = ByteBuffer.allocate(count);
        while (bytes.hasRemaining()) {
            assertThat(socket.read(bytes)).as("bytes before the end").isNotNegative();
        }
        return bytes.flip();
    }

    private static String readHead(SocketChannel socket) throws IOException {
        var head = new StringBuilder();
        while (!head.toString().endsWith("\r\n\r\n")) {
            head.append((char) read(socket, 1).get());
        }
        return head.toString();
    }
}
