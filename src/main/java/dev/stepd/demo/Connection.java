package dev.stepd.demo;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.function.Supplier;

/// Sends requests to wherever the server is now, again and again while it is away or asks for patience.
///
/// So a request may arrive twice. Reads, uploads and steps that carry their number bear that; a session created twice
/// leaves one that nobody uses.
final class Connection implements AutoCloseable {
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final Duration PAUSE = Duration.ofMillis(50);
    private static final int FIRST_ERROR_STATUS = 400;
    private static final ObjectMapper MAPPER = new ObjectMapper();

    /// @param wasLost whether the connection broke before, so that the server may have seen the request twice
    record Answer(HttpResponse<byte[]> response, boolean wasLost) {
        byte[] body() {
            return response.body();
        }

        JsonNode json() {
            return Connection.json(response.body());
        }

        String header(String name) {
            return response.headers().firstValue(name).orElse("");
        }
    }

    private final HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    private final Supplier<URI> server;

    /// @param server asked before every attempt
    Connection(Supplier<URI> server) {
        this.server = server;
    }

    /// @param request all but its address
    /// @throws Refused when the server answers a problem that waiting does not solve
    /// @throws UncheckedIOException when nobody answers for a minute
    Answer send(String target, HttpRequest.Builder request) throws InterruptedException {
        long start = System.nanoTime();
        boolean lost = false;
        while (true) {
            boolean patient = System.nanoTime() - start < PATIENCE.toNanos();
            try {
                var attempt = request.uri(server.get().resolve(target)).timeout(PATIENCE).build();
                var response = client.send(attempt, BodyHandlers.ofByteArray());
                if (response.statusCode() < FIRST_ERROR_STATUS) {
                    return new Answer(response, lost);
                }
                var refused = new Refused(response);
                if (!refused.retryable() || !patient) {
                    throw refused;
                }
                Thread.sleep(refused.retryAfter());
            } catch (IOException e) {
                if (!patient) {
                    throw new UncheckedIOException("no server answers at " + server.get(), e);
                }
                lost = true;
                Thread.sleep(PAUSE);
            }
        }
    }

    static JsonNode json(byte[] body) {
        try {
            return MAPPER.readTree(body);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static byte[] json(Object value) {
        try {
            return MAPPER.writeValueAsBytes(value);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void close() {
        client.shutdownNow();
    }
}
