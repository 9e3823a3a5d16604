package dev.stepd.server;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Reads a stream of server-sent events from a socket of its own, line by line, so that a test says when anything is read.
final class EventReader implements AutoCloseable {
    private static final int TIMEOUT_MILLIS = 30_000;

    /// @param id empty for what is no event
    record Told(String id, String name, JsonNode data) {}

    private final Socket socket;
    private final BufferedReader lines;
    private final int status;
    private final Map<String, String> headers = new HashMap<>();

    /// @param receiveBytes of the socket, or 0 for what the system gives
    EventReader(URI server, String target, @Nullable String lastEventId, int receiveBytes) throws IOException {
        socket = new Socket();
        if (receiveBytes > 0) {
            socket.setReceiveBufferSize(receiveBytes);
        }
        socket.connect(new java.net.InetSocketAddress(server.getHost(), server.getPort()));
        socket.setSoTimeout(TIMEOUT_MILLIS);
        var request = "GET " + target + " HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\n"
                + (lastEventId == null ? "" : "Last-Event-ID: " + lastEventId + "\r\n") + "\r\n";
        socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
        lines = new BufferedReader(new InputStreamReader(new Unchunked(socket.getInputStream(), headers), StandardCharsets.UTF_8));
        status = Integer.parseInt(headers.get("").split(" ")[1]);
    }

    static EventReader open(URI server, String session) throws IOException {
        return new EventReader(server, session + "/events", null, 0);
    }

    static EventReader open(URI server, String session, String lastEventId) throws IOException {
        return new EventReader(server, session + "/events", lastEventId, 0);
    }

    int status() {
        return status;
    }

    String header(String name) {
        return headers.getOrDefault(name.toLowerCase(java.util.Locale.ROOT), "");
    }

    /// The next event, or null when the stream is over. Comments and the like are left out.
    @Nullable Told next() {
        while (true) {
            var block = block();
            if (block == null) {
                return null;
            }
            if (block.containsKey("event")) {
                try {
                    return new Told(block.get("id"), block.get("event"), new ObjectMapper().readTree(block.get("data")));
                } catch (IOException e) {
                    throw new UncheckedIOException(e);
                }
            }
        }
    }

    List<Told> next(int count) {
        var told = new ArrayList<Told>();
        for (int i = 0; i < count; i++) {
            told.add(next());
        }
        return told;
    }

    /// Field by name up to the next empty line, comments under the empty name; null at the end.
    @Nullable Map<String, String> block() {
        var fields = new HashMap<String, String>();
        try {
            for (var line = lines.readLine(); line != null; line = lines.readLine()) {
                if (line.isEmpty()) {
                    return fields;
                }
                int colon = line.indexOf(':');
                fields.put(line.substring(0, colon), line.substring(colon + 1).strip());
            }
            return null;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }

    /// A body that comes in chunks, whole.
    private static final class Unchunked extends java.io.InputStream {
        private final java.io.InputStream in;
        private final boolean chunked;
        private int left;

        Unchunked(java.io.InputStream in, Map<String, String> headers) throws IOException {
            this.in = in;
            headers.put("", line());
            for (var line = line(); !line.isEmpty(); line = line()) {
                int colon = line.indexOf(':');
                headers.put(line.substring(0, colon).toLowerCase(java.util.Locale.ROOT), line.substring(colon + 1).strip());
            }
            this.chunked = "chunked".equals(headers.get("transfer-encoding"));
        }

        private String line() throws IOException {
            var line = new StringBuilder();
            for (int c = in.read(); c != '\n'; c = in.read()) {
                if (c < 0) {
                    throw new IOException("the connection ended within " + line);
                }
                if (c != '\r') {
                    line.append((char) c);
                }
            }
            return line.toString();
        }

        @Override
        public int read() throws IOException {
            var one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
        }

        @Override
        public int read(byte[] into, int at, int count) throws IOException {
            if (!chunked) {
                return in.read(into, at, count);
            }
            if (left == 0) {
                left = Integer.parseInt(line(), 16);
                if (left == 0) {
                    return -1;
                }
            }
            int read = in.read(into, at, Math.min(count, left));
            left -= read;
            if (left == 0) {
                line();
            }
            return read;
        }
    }
}
