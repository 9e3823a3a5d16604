package dev.stepd.server;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;

/// What a step over a socket costs without HTTP and without a step: takes a length and as many bytes, then sends the bytes
/// back. Like a step it answers nothing before it has everything.
final class Echo {
    static final String READY = "echo listening on ";

    private Echo() {}

    public static void main(String[] args) throws IOException {
        try (var server = ServerSocketChannel.open()) {
            server.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
            System.out.println(READY + ((InetSocketAddress) server.getLocalAddress()).getPort());
            while (true) {
                try (var client = server.accept()) {
                    client.setOption(StandardSocketOptions.TCP_NODELAY, true);
                    serve(client);
                }
            }
        }
    }

    private static void serve(SocketChannel client) throws IOException {
        var length = ByteBuffer.allocateDirect(Long.BYTES);
        var bytes = ByteBuffer.allocateDirect(0);
        while (fill(client, length.clear())) {
            int count = (int) length.flip().getLong();
            if (bytes.capacity() < count) {
                bytes = ByteBuffer.allocateDirect(count);
            }
            if (!fill(client, bytes.clear().limit(count))) {
                return;
            }
            bytes.flip();
            while (bytes.hasRemaining()) {
                client.write(bytes);
            }
        }
    }

    private static boolean fill(SocketChannel client, ByteBuffer into) throws IOException {
        while (into.hasRemaining()) {
            if (client.read(into) < 0) {
                return false;
            }
        }
        return true;
    }
}
