package dev.stepd.http;

import static org.assertj.core.api.Assertions.assertThat;

import io.micronaut.context.ApplicationContext;
import io.micronaut.runtime.server.EmbeddedServer;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Bodies of every size come through unchanged, memory is given back in every ending, and a refusal is heard.
class StreamingTest {
    private static EmbeddedServer server;
    private static EchoController echo;
    private static HttpClient client;

    @BeforeAll
    static void start() {
        server = ApplicationContext.run(EmbeddedServer.class, Map.of(
                "stepd.port", "0", "stepd.test.echo", "true", "stepd.body-idle-timeout", "200ms", "stepd.data", "target/streaming"));
        echo = server.getApplicationContext().getBean(EchoController.class);
        client = HttpClient.newHttpClient();
    }

    @AfterAll
    static void stop() {
        client.close();
        server.getApplicationContext().close();
    }

    @BeforeEach
    void forgetPermits() {
        echo.closed.drainPermits();
        echo.released.drainPermits();
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 100, 4096, 70_000, 1 << 20, 40_000_000})
    void bodyComesBackUnchanged(int bytes) throws Exception {
        assertComesBack(bytes, "");
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 4096, 70_000, 5_000_001})
    void replyMayTakeSeveralBuffers(int bytes) throws Exception {
        assertComesBack(bytes, "?piece=" + Math.max(1, bytes / 7));
    }

    private static void assertComesBack(int bytes, String query) throws Exception {
        var body = new byte[bytes];
        new Random(bytes).nextBytes(body);
        var response = client.send(post(query, BodyPublishers.ofByteArray(body)), BodyHandlers.ofByteArray());
        assertThat(response.statusCode()).isEqualTo(200);
        assertThat(response.headers().firstValue("content-length")).contains(Integer.toString(bytes));
        assertThat(response.body()).isEqualTo(body);
        assertHappens(echo.closed);
        assertHappens(echo.released);
    }

    @Test
    void bodyOfUnknownLengthComesThrough() throws Exception {
        var body = new byte[3_000_000];
        new Random(1).nextBytes(body);
        var publisher = BodyPublishers.fromPublisher(BodyPublishers.ofByteArray(body));
        var response = client.send(post("", publisher), BodyHandlers.ofByteArray());
        assertThat(response.body()).isEqualTo(body);
    }

    @ParameterizedTest
    @ValueSource(strings = {"?refuse-at=5", "?refuse-at=1000000", "?refuse=true"})
    void clientThatSendsEverythingFirstHearsTheRefusal(String query) throws Exception {
        try (var socket = connect()) {
            var out = socket.getOutputStream();
            head(out, query, 30_000_000, "");
            var chunk = new byte[1 << 20];
            for (int sent = 0; sent < 30_000_000; sent += chunk.length) {
                out.write(chunk, 0, Math.min(chunk.length, 30_000_000 - sent));
            }
            assertThat(head(socket.getInputStream())).startsWith("HTTP/1.1 4").contains("application/problem+json");
        }
    }

    @Test
    void connectionServesTheNextRequestAfterARefusal() throws Exception {
        try (var socket = connect()) {
            var out = socket.getOutputStream();
            head(out, "?refuse-at=5", 1_000_000, "");
            out.write(new byte[1_000_000]);
            skipBody(socket.getInputStream(), head(socket.getInputStream()));
            head(out, "", 3, "");
            out.write(new byte[3]);
            assertThat(head(socket.getInputStream())).startsWith("HTTP/1.1 200");
        }
    }

    @Test
    void clientThatAsksFirstIsRefusedWithoutSending() throws Exception {
        try (var socket = connect()) {
            head(socket.getOutputStream(), "?refuse=true", 1 << 30, "Expect: 100-continue\r\n");
            assertThat(head(socket.getInputStream())).startsWith("HTTP/1.1 409").containsIgnoringCase("connection: close");
        }
        assertThat(echo.closed.availablePermits()).isZero();
    }

    @Test
    void clientThatAsksFirstIsToldToGoOn() throws Exception {
        try (var socket = connect()) {
            head(socket.getOutputStream(), "", 70_000, "Expect: 100-continue\r\n");
            assertThat(head(socket.getInputStream())).startsWith("HTTP/1.1 100");
            socket.getOutputStream().write(new byte[70_000]);
            assertThat(head(socket.getInputStream())).startsWith("HTTP/1.1 200");
        }
    }

    @Test
    void clientThatWasToldToGoOnHearsTheRefusal() throws Exception {
        try (var socket = connect()) {
            var out = socket.getOutputStream();
            head(out, "?refuse-at=5", 30_000_000, "Expect: 100-continue\r\n");
            assertThat(head(socket.getInputStream())).startsWith("HTTP/1.1 100");
            for (int sent = 0; sent < 30; sent++) {
                out.write(new byte[1_000_000]);
            }
            assertThat(head(socket.getInputStream())).startsWith("HTTP/1.1 422").doesNotContainIgnoringCase("connection: close");
        }
    }

    @Test
    void bodyCutInTheMiddleIsClosed() throws Exception {
        try (var socket = connect()) {
            head(socket.getOutputStream(), "", 1_000_000, "");
            socket.getOutputStream().write(new byte[500_000]);
        }
        assertHappens(echo.closed);
        assertThat(echo.released.availablePermits()).isZero();
    }

    @Test
    void slowBodyIsGivenUp() throws Exception {
        try (var socket = connect()) {
            head(socket.getOutputStream(), "", 1_000_000, "");
            socket.getOutputStream().write(new byte[500_000]);
            assertThat(head(socket.getInputStream())).startsWith("HTTP/1.1 408").containsIgnoringCase("connection: close");
        }
        assertHappens(echo.closed);
    }

    @Test
    void memoryOfAReplyNobodyReadsIsGivenBack() throws Exception {
        try (var socket = connect()) {
            head(socket.getOutputStream(), "", 40_000_000, "");
            socket.getOutputStream().write(new byte[40_000_000]);
            assertThat(head(socket.getInputStream())).startsWith("HTTP/1.1 200");
            assertThat(echo.released.availablePermits()).isZero();
        }
        assertHappens(echo.released);
    }

    private static void assertHappens(Semaphore event) throws InterruptedException {
        assertThat(event.tryAcquire(10, TimeUnit.SECONDS)).isTrue();
    }

    private static HttpRequest post(String query, HttpRequest.BodyPublisher body) {
        return HttpRequest.newBuilder(URI.create(server.getURI() + "/echo" + query))
                .timeout(Duration.ofSeconds(20)).POST(body).build();
    }

    private static Socket connect() throws IOException {
        var socket = new Socket(server.getHost(), server.getPort());
        socket.setSoTimeout(20_000);
        return socket;
    }

    private static void head(OutputStream out, String query, int length, String more) throws IOException {
        out.write(("POST /echo" + query + " HTTP/1.1\r\nHost: stepd\r\nContent-Length: " + length + "\r\n" + more + "\r\n")
                .getBytes(StandardCharsets.US_ASCII));
        out.flush();
    }

    /// The response's status line and headers.
    private static String head(InputStream in) throws IOException {
        var head = new StringBuilder();
        while (head.indexOf("\r\n\r\n") < 0) {
            int next = in.read();
            if (next < 0) {
                throw new IOException("the connection ended after: " + head);
            }
            head.append((char) next);
        }
        return head.toString();
    }

    private static void skipBody(InputStream in, String head) throws IOException {
        var length = head.toLowerCase().replaceAll("(?s).*content-length: (\\d+).*", "$1");
        in.skipNBytes(Long.parseLong(length));
    }
}
