package dev.stepd.http;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.micronaut.context.ApplicationContext;
import io.micronaut.context.annotation.Requires;
import io.micronaut.http.HttpResponse;
import io.micronaut.http.annotation.Controller;
import io.micronaut.http.annotation.Get;
import io.micronaut.runtime.server.EmbeddedServer;
import java.io.IOException;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// What the framework refuses, and what nobody foresaw, are problems like any other.
class ProblemsTest {
    /// Fails in a way stepd does not foresee.
    @Controller("/broken")
    @Requires(property = "stepd.test.broken", value = "true")
    static final class Broken {
        @Get
        HttpResponse<?> broken() {
            throw new IllegalStateException("a secret of the inside");
        }
    }

    private static EmbeddedServer server;

    @BeforeAll
    static void start() {
        server = ApplicationContext.run(EmbeddedServer.class,
                Map.of("stepd.port", "0", "stepd.test.broken", "true", "stepd.data", "target/problems"));
    }

    @AfterAll
    static void stop() {
        server.getApplicationContext().close();
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "GET /nowhere HTTP/1.1                | 404 | not-found          | there is nothing at /nowhere",
        "GET /v1/sessions/a/nowhere HTTP/1.1  | 404 | not-found          | there is nothing at /v1/sessions/a/nowhere",
        "DELETE /v1/sessions HTTP/1.1         | 405 | method-not-allowed | DELETE /v1/sessions",
        "PUT /v1/sessions/a/steps HTTP/1.1    | 405 | method-not-allowed | [POST]",
        "GET /v1/sessions?page_sise=1 HTTP/1.1| 400 | invalid-request    | did you mean \"page_size\"",
        "GET /v1/sessions?page_size=0 HTTP/1.1| 400 | invalid-request    | page_size is 0, expected a whole number of 1 to 1000",
        "GET /v1/sessions?page_size=x HTTP/1.1| 400 | invalid-request    | page_size is x",
        "GET /v1/sessions?page_size=1&page_size=2 HTTP/1.1 | 400 | invalid-request | page_size is given 2 times",
        "GET /openapi/stepd.yaml?x=1 HTTP/1.1 | 400 | invalid-request    | unknown query parameter x; there are none here",
        "GET /%zz HTTP/1.1                    | 400 | invalid-request    | ",
        "NONSENSE                             | 400 | invalid-request    | malformed or too long",
        "POST /v1/studies HTTP/1.1            | 501 | not-implemented    | studies are not part of this version",
        "GET /broken HTTP/1.1                 | 500 | internal           | its log has the reason",
    })
    void refusalIsAProblem(String line, int status, String type, String detail) throws Exception {
        var answer = answer(line + "\r\nHost: stepd\r\nConnection: close\r\n\r\n");
        assertProblem(answer, status, type, detail);
    }

    @Test
    void headLongerThanTheBoundIsAProblem() throws Exception {
        var answer = answer("GET / HTTP/1.1\r\nHost: stepd\r\nLong: " + "x".repeat(17_000) + "\r\n\r\n");
        assertProblem(answer, 413, "body-too-large", "too long");
    }

    @Test
    void wrongVerbIsToldTheRightOnes() throws Exception {
        assertThat(answer("PUT /v1/sessions/a/steps HTTP/1.1\r\nHost: stepd\r\nConnection: close\r\n\r\n")).containsIgnoringCase("\r\nallow: POST\r\n");
    }

    @Test
    void acceptNeverDecidesTheFormOfAProblem() throws Exception {
        var answer = answer("GET /nowhere HTTP/1.1\r\nHost: stepd\r\nAccept: text/html\r\nConnection: close\r\n\r\n");
        assertProblem(answer, 404, "not-found", "/nowhere");
    }

    private static void assertProblem(String answer, int status, String type, String detail) throws IOException {
        assertThat(answer).matches("(?s)HTTP/1.[01] " + status + " .*").containsIgnoringCase("content-type: application/problem+json")
                .doesNotContain("secret").doesNotContain("Exception");
        var problem = new ObjectMapper().readTree(answer.substring(answer.indexOf("\r\n\r\n")));
        assertThat(problem.get("type").asText()).isEqualTo("https://stepd.dev/problems/" + type);
        assertThat(problem.get("status").asInt()).isEqualTo(status);
        assertThat(problem.get("title").asText()).isNotEmpty();
        assertThat(problem.get("detail").asText()).isNotEmpty().contains(detail == null ? "" : detail);
        assertThat(problem.get("retryable").asBoolean()).isFalse();
        assertThat(problem.get("effect").asText()).isEqualTo("none");
    }

    private static String answer(String request) throws IOException {
        try (var socket = new Socket(server.getHost(), server.getPort())) {
            socket.setSoTimeout(20_000);
            socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
            return new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        }
    }
}
