package dev.stepd.server;

import java.io.EOFException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;

/// The cheapest HTTP client there is: one socket, requests made in advance, replies read into one buffer. What a benchmark
/// measures should be the server.
final class Connection implements AutoCloseable {
    private static final int HEAD_BYTES = 4096;
    private static final byte[] LENGTH = "content-length:".getBytes(StandardCharsets.US_ASCII);

    private final SocketChannel socket;
    private final ByteBuffer reply;
    private int bodyStart;

    /// @param replyBytesMax longest body of a reply
    Connection(int port, int replyBytesMax) throws IOException {
        socket = SocketChannel.open(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
        socket.setOption(StandardSocketOptions.TCP_NODELAY, true);
        reply = ByteBuffer.allocateDirect(HEAD_BYTES + replyBytesMax);
    }

    /// A request ready to be sent any number of times.
    static ByteBuffer request(String method, String path, String type, ByteBuffer body) {
        var head = (method + " " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + type
                + "\r\nContent-Length: " + body.remaining() + "\r\n\r\n").getBytes(StandardCharsets.US_ASCII);
        return ByteBuffer.allocateDirect(head.length + body.remaining()).put(head).put(body.duplicate()).flip();
    }

    void send(ByteBuffer request) throws IOException {
        var bytes = request.duplicate();
        while (bytes.hasRemaining()) {
            socket.write(bytes);
        }
    }

    /// Reads one whole reply.
    ///
    /// @return bytes of its body
    int receive() throws IOException {
        reply.clear();
        bodyStart = 0;
        while (bodyStart == 0) {
            read();
            bodyStart = findBody();
        }
        int length = contentLength();
        while (reply.position() < bodyStart + length) {
            read();
        }
        if (reply.get(9) != '2') {
            throw new IllegalStateException(text(0, reply.position()));
        }
        return length;
    }

    /// The head of the last reply.
    String head() {
        return text(0, bodyStart);
    }

    /// The body of the last reply, if that is text.
    String body() {
        return text(bodyStart, reply.position());
    }

    /// Bytes as they are, without HTTP.
    void receive(int count) throws IOException {
        reply.clear().limit(count);
        while (reply.hasRemaining()) {
            read();
        }
    }

    private void read() throws IOException {
        if (socket.read(reply) < 0) {
            throw new EOFException("the server hung up after " + text(0, Math.min(HEAD_BYTES, reply.position())));
        }
    }

    private String text(int from, int to) {
        var bytes = new byte[to - from];
        reply.get(from, bytes);
        return new String(bytes, StandardCharsets.UTF_8);
    }

    /// Where the body starts, or 0 when the head is not all here.
    private int findBody() {
        for (int i = 3; i < reply.position(); i++) {
            if (reply.get(i) == '\n' && reply.get(i - 2) == '\n') {
                return i + 1;
            }
        }
        return 0;
    }

    private int contentLength() {
        for (int line = 0; line < bodyStart; line = nextLine(line)) {
            if (matches(line)) {
                int length = 0;
                for (int i = line + LENGTH.length; reply.get(i) != '\r'; i++) {
                    if (reply.get(i) != ' ') {
                        length = 10 * length + reply.get(i) - '0';
                    }
                }
                return length;
            }
        }
        return 0;
    }

    private int nextLine(int from) {
        int i = from;
        while (reply.get(i) != '\n') {
            i++;
        }
        return i + 1;
    }

    private boolean matches(int line) {
        for (int i = 0; i < LENGTH.length; i++) {
            if ((reply.get(line + i) | 0x20) != (LENGTH[i] | 0x20)) {
                return false;
            }
        }
        return true;
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }
}
