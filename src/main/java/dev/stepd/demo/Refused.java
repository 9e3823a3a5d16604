package dev.stepd.demo;

import com.fasterxml.jackson.databind.JsonNode;
import java.net.http.HttpResponse;
import java.time.Duration;

/// The server answered with a problem.
final class Refused extends RuntimeException {
    private final String type;
    private final boolean retryable;
    private final Duration retryAfter;

    Refused(HttpResponse<byte[]> response) {
        this(response, Connection.json(response.body()));
    }

    private Refused(HttpResponse<byte[]> response, JsonNode problem) {
        super(response.statusCode() + " " + problem.path("title").asText() + ": " + problem.path("detail").asText());
        this.type = problem.path("type").asText();
        this.retryable = problem.path("retryable").asBoolean();
        this.retryAfter = Duration.ofSeconds(response.headers().firstValueAsLong("Retry-After").orElse(1));
    }

    /// Whether the same request may succeed after [#retryAfter].
    boolean retryable() {
        return retryable;
    }

    Duration retryAfter() {
        return retryAfter;
    }

    /// Whether the session stands at another step than its client thought.
    boolean isStepMismatch() {
        return type.endsWith("/step-mismatch");
    }
}
