package dev.stepd.faults;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;

/// Requests to a server that may be gone before it answers.
final class Calls {
    static final HttpClient CLIENT = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    static final String SAFETENSORS = "application/vnd.safetensors";
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private Calls() {}

    static HttpResponse<byte[]> send(String method, String target, String type, byte[] body, long number) throws Exception {
        return CLIENT.send(request(method, target, type, body, number), BodyHandlers.ofByteArray());
    }

    static HttpRequest request(String method, String target, String type, byte[] body, long number) {
        var request = HttpRequest.newBuilder(URI.create(target)).timeout(PATIENCE)
                .method(method, body.length == 0 ? BodyPublishers.noBody() : BodyPublishers.ofByteArray(body));
        if (!type.isEmpty()) {
            request.header("Content-Type", type);
        }
        if (number > 0) {
            request.header("Stepd-Step", Long.toString(number));
        }
        return request.build();
    }

    /// @throws IOException also for 503: the client is to come again, as to a server that is not there
    static JsonNode json(HttpResponse<byte[]> response) throws IOException {
        if (response.statusCode() == 503) {
            throw new IOException("told to come again: " + new String(response.body(), StandardCharsets.UTF_8));
        }
        assertThat(response.statusCode()).as(new String(response.body(), StandardCharsets.UTF_8)).isBetween(200, 201);
        return new ObjectMapper().readTree(response.body());
    }
}
