package dev.stepd.server;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The program as it is started and ended, in a process of its own.
class ServerProcessTest {
    private static final String SESSION = "{\"optimizer\": {\"name\": \"adamw\"}, \"tensors\": [{\"name\": \"w\", \"shape\": [3]}]}";

    private static final String GRADIENT = "{\"gradients\": {\"w\": [1, -1, 0.5]}}";
    private static final String VALUES = "{\"parameters\": {\"w\": [1, 2, 3]}}";

    @TempDir
    Path folder;

    private final HttpClient client = HttpClient.newHttpClient();

    @Test
    void keepsItsFolderToItselfEndsWhenAskedAndFindsItsSessionsAgain() throws Exception {
        var first = start("serve", "--port", "0", "--data", folder.resolve("data").toString());
        var address = ready(first);
        var session = send("POST", address + "/v1/sessions", SESSION).get("id").asText();
        send("PUT", address + "/v1/sessions/" + session + "/parameters", VALUES);
        for (int i = 0; i < 3; i++) {
            send("POST", address + "/v1/sessions/" + session + "/steps", "{\"gradients\": {\"w\": [1, -1, 0.5]}}");
        }
        var digest = send("GET", address + "/v1/sessions/" + session + "/digest", "");
        assertFolderIsTaken();
        assertThat(end(first)).isZero();

        var second = start("serve", "--port", "0", "--data", folder.resolve("data").toString());
        var again = ready(second);
        assertThat(send("GET", again + "/v1/sessions/" + session + "/digest", "")).isEqualTo(digest);
        assertThat(digest.get("step").asInt()).isEqualTo(3);
        assertThat(end(second)).isZero();
    }

    @Test
    void noAcknowledgedStepIsLostWhenTheServerEndsUnderLoad() throws Exception {
        var first = start("serve", "--port", "0", "--data", folder.resolve("data").toString());
        var address = ready(first);
        var session = send("POST", address + "/v1/sessions", SESSION).get("id").asText();
        send("PUT", address + "/v1/sessions/" + session + "/parameters", "{\"parameters\": {\"w\": [1, 2, 3]}}");
        var reached = new CountDownLatch(20);
        var stepping = CompletableFuture.supplyAsync(() -> stepUntilRefused(address + "/v1/sessions/" + session + "/steps", reached));
        assertThat(reached.await(60, TimeUnit.SECONDS)).isTrue();
        assertThat(end(first)).isZero();
        long acknowledged = stepping.get(60, TimeUnit.SECONDS);

        var second = start("serve", "--port", "0", "--data", folder.resolve("data").toString());
        var again = send("GET", ready(second) + "/v1/sessions/" + session, "");
        assertThat(again.get("step").asLong()).isBetween(acknowledged, acknowledged + 1);
        assertThat(again.get("durable_step")).isEqualTo(again.get("step"));
        assertThat(end(second)).isZero();
    }

    @Test
    void finishesTheStepItHasAndWantsNoOther() throws Exception {
        var first = start("serve", "--port", "0", "--data", folder.resolve("data").toString());
        var address = ready(first);
        var session = send("POST", address + "/v1/sessions", SESSION).get("id").asText();
        send("PUT", address + "/v1/sessions/" + session + "/parameters", VALUES);
        try (var halfway = new HalfSentStep(address, session)) {
            first.destroy();
            awaitUnready(address);
            var refused = client.send(HttpRequest.newBuilder(URI.create(address + "/v1/sessions/" + session + "/steps"))
                    .header("Content-Type", "application/json").POST(BodyPublishers.ofString(GRADIENT)).build(), BodyHandlers.ofString());
            assertThat(refused.statusCode()).isEqualTo(503);
            assertThat(refused.headers().firstValue("Retry-After")).isPresent();
            assertThat(refused.body()).contains("draining", "\"effect\":\"none\"");
            assertThat(halfway.finish()).startsWith("HTTP/1.1 200");
        }
        assertThat(first.waitFor(60, TimeUnit.SECONDS)).isTrue();
        assertThat(first.exitValue()).isZero();

        var second = start("serve", "--port", "0", "--data", folder.resolve("data").toString());
        assertThat(send("GET", ready(second) + "/v1/sessions/" + session, "").get("step").asInt()).isEqualTo(1);
        assertThat(end(second)).isZero();
    }

    @Test
    void givesUpWhatDoesNotComeInTime() throws Exception {
        var process = start("serve", "--port", "0", "--drain-timeout", "100ms", "--data", folder.resolve("data").toString());
        var address = ready(process);
        var session = send("POST", address + "/v1/sessions", SESSION).get("id").asText();
        send("PUT", address + "/v1/sessions/" + session + "/parameters", VALUES);
        try (var _ = new HalfSentStep(address, session)) {
            assertThat(end(process)).isZero();
        }
        assertThat(errors()).anyMatch(line -> line.contains("bodies still coming"));
    }

    @Test
    void aSecondSignalEndsItAtOnceAndHarmsNothing() throws Exception {
        var first = start("serve", "--port", "0", "--drain-timeout", "10m", "--data", folder.resolve("data").toString());
        var address = ready(first);
        var session = send("POST", address + "/v1/sessions", SESSION.replace("{\"opt", "{\"durability\": \"journal\", \"opt")).get("id").asText();
        send("PUT", address + "/v1/sessions/" + session + "/parameters", VALUES);
        send("POST", address + "/v1/sessions/" + session + "/steps", GRADIENT);
        var digest = send("GET", address + "/v1/sessions/" + session + "/digest", "");
        try (var _ = new HalfSentStep(address, session)) {
            first.destroy();
            awaitUnready(address);
            assertThat(end(first)).isEqualTo(143);
        }
        var second = start("serve", "--port", "0", "--data", folder.resolve("data").toString());
        assertThat(send("GET", ready(second) + "/v1/sessions/" + session + "/digest", "")).isEqualTo(digest);
        assertThat(end(second)).isZero();
    }

    /// A client in the middle of a step: the server has the request's head and half of its body.
    private static final class HalfSentStep implements AutoCloseable {
        private final byte[] body = Tensors.f32("w", 1, -1, 0.5f);
        private final Socket socket;

        HalfSentStep(String address, String session) throws IOException {
            var server = URI.create(address);
            socket = new Socket(server.getHost(), server.getPort());
            write("POST /v1/sessions/" + session + "/steps HTTP/1.1\r\nHost: stepd\r\nContent-Type: application/vnd.safetensors\r\n"
                    + "Expect: 100-continue\r\nContent-Length: " + body.length + "\r\n\r\n");
            assertThat(line()).startsWith("HTTP/1.1 100");
            assertThat(line()).isEmpty();
            send(0, body.length / 2);
        }

        String finish() throws IOException {
            send(body.length / 2, body.length);
            return line();
        }

        private void write(String text) throws IOException {
            socket.getOutputStream().write(text.getBytes(StandardCharsets.US_ASCII));
        }

        private void send(int from, int to) throws IOException {
            socket.getOutputStream().write(body, from, to - from);
        }

        private String line() throws IOException {
            var line = new StringBuilder();
            for (int next = socket.getInputStream().read(); next >= 0 && next != '\n'; next = socket.getInputStream().read()) {
                line.append((char) next);
            }
            return line.toString().strip();
        }

        @Override
        public void close() throws IOException {
            socket.close();
        }
    }

    private void awaitUnready(String address) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(address + "/health/readiness")).build();
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
        while (client.send(request, BodyHandlers.discarding()).statusCode() == 200) {
            assertThat(System.nanoTime()).as("readiness goes down").isLessThan(until);
        }
    }

    /// The last step the server acknowledged.
    private long stepUntilRefused(String target, CountDownLatch reached) {
        for (long step = 1;; step++) {
            try {
                var request = HttpRequest.newBuilder(URI.create(target)).timeout(Duration.ofSeconds(30))
                        .header("Content-Type", "application/json").header("Stepd-Step", Long.toString(step))
                        .POST(BodyPublishers.ofString("{\"gradients\": {\"w\": [1, -1, 0.5]}}"));
                if (client.send(request.build(), BodyHandlers.discarding()).statusCode() != 200) {
                    return step - 1;
                }
                reached.countDown();
            } catch (IOException ended) {
                return step - 1;
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        }
    }

    @Test
    void wrongFlagIsOneLineAndExitCodeTwo() throws Exception {
        var process = start("serve", "--prot", "1");
        assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).isEqualTo(2);
        assertThat(errors()).containsExactly("stepd: unknown flag --prot; did you mean \"--port\"?; see stepd help");
    }

    private void assertFolderIsTaken() throws Exception {
        var process = start("serve", "--port", "0", "--data", folder.resolve("data").toString());
        assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).isEqualTo(2);
        assertThat(errors()).anyMatch(line -> line.startsWith("stepd: --data ") && line.contains("another stepd"));
    }

    private Process start(String... arguments) throws IOException {
        return StartedServer.launch(Files.createTempFile(folder, "stderr", ""), Map.of(), List.of(arguments));
    }

    /// The address in the one line the program prints.
    private static String ready(Process process) throws IOException {
        var line = new BufferedReader(process.inputReader()).readLine();
        assertThat(line).startsWith("stepd listening on http://127.0.0.1:");
        return line.substring(line.indexOf("http"));
    }

    private static int end(Process process) throws InterruptedException {
        process.destroy(); // SIGTERM
        assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        return process.exitValue();
    }

    /// What all processes of this test wrote to standard error, without the runtime's own remark on incubating modules.
    private List<String> errors() throws IOException {
        try (var files = Files.list(folder)) {
            var lines = new ArrayList<String>();
            for (var file : files.filter(f -> f.getFileName().toString().startsWith("stderr")).toList()) {
                lines.addAll(Files.readAllLines(file));
            }
            lines.removeIf(line -> line.startsWith("WARNING:"));
            return lines;
        }
    }

    private JsonNode send(String method, String target, String body) throws Exception {
        var response = client.send(HttpRequest.newBuilder(URI.create(target)).timeout(Duration.ofSeconds(30))
                .header("Content-Type", "application/json").method(method, BodyPublishers.ofString(body)).build(), BodyHandlers.ofString());
        assertThat(response.statusCode()).as(response.body()).isBetween(200, 201);
        return new ObjectMapper().readTree(response.body());
    }
}
