package dev.stepd.server;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.server.RunningServer.Call;
import java.io.IOException;
import java.net.Socket;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Bodies that are being received count; beyond the limit clients are told to come back, and they can.
class AdmissionOverHttpTest {
    private static final int ELEMENTS = 25_000;

    @Test
    void bodiesBeyondTheLimitWaitTheirTurn(@TempDir Path data) throws IOException {
        try (var server = RunningServer.start(data, Map.of("bytes-in-flight", "150KB"))) {
            var slow = session(server);
            var other = session(server);
            var body = Tensors.f32("w", new float[ELEMENTS]);
            try (var held = new Socket(server.address().getHost(), server.address().getPort())) {
                hold(held, slow, body);
                var refused = stepUntil(server, other, body, 429);
                assertThat(refused.headers().firstValue("Retry-After")).contains("1");
                var problem = RunningServer.json(refused);
                assertThat(problem.get("retryable").asBoolean()).isTrue();
                assertThat(problem.get("detail").asText()).contains("153600");
            }
            assertThat(stepUntil(server, other, body, 200).statusCode()).isEqualTo(200);
        }
    }

    private static String session(RunningServer server) {
        return server.session("""
                {"optimizer": {"name": "signsgd"}, "durability": "none", "tensors": [{"name": "w", "shape": [%d]}]}""".formatted(ELEMENTS));
    }

    /// Sends half of a body, once the server asks for it: then it is admitted.
    private static void hold(Socket socket, String session, byte[] body) throws IOException {
        var head = "POST %s/steps HTTP/1.1\r\nHost: stepd\r\nExpect: 100-continue\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
                .formatted(session, RunningServer.SAFETENSORS, body.length);
        socket.getOutputStream().write(head.getBytes(StandardCharsets.US_ASCII));
        var asked = new String(socket.getInputStream().readNBytes(12), StandardCharsets.US_ASCII);
        assertThat(asked).isEqualTo("HTTP/1.1 100");
        socket.getOutputStream().write(Arrays.copyOf(body, body.length / 2));
    }

    /// Steps until the server has noticed what happened to the other connection.
    private static HttpResponse<byte[]> stepUntil(RunningServer server, String session, byte[] body, int status) {
        var deadline = Instant.now().plus(Duration.ofSeconds(20));
        HttpResponse<byte[]> response;
        do {
            response = server.send(Call.tensors("POST", session + "/steps", body));
        } while (response.statusCode() != status && Instant.now().isBefore(deadline));
        assertThat(response.statusCode()).isEqualTo(status);
        return response;
    }
}
