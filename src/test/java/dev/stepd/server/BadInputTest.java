package dev.stepd.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.stepd.server.RunningServer.Call;
import java.io.IOException;
import java.net.Socket;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/// Whatever is wrong with a request, it is told in the contract's form and the session stands as it stood.
class BadInputTest {
    private static final String SESSION = """
            {"optimizer": {"name": "adamw"},
             "tensors": [{"name": "w", "shape": [2, 2]}, {"name": "b", "shape": [2]}]}""";
    private static final String ENTRY_W = "\"w\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}";
    private static final String ENTRY_B = "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[16,24]}";

    @TempDir
    static Path data;

    private static RunningServer server;
    private static String session;

    @BeforeAll
    static void start() {
        server = RunningServer.start(data, Map.of("memory", "64MB", "header-limit", "1KB", "json-limit", "64KB", "body-idle-timeout", "300ms"));
        session = server.session(SESSION);
        server.send(Call.tensors("PUT", session + "/parameters", good().body()));
        server.send(Call.tensors("POST", session + "/steps", good().body()));
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    private static Tensors good() {
        return Tensors.none().with("w", new long[] {2, 2}, 1, 2, 3, 4).with("b", new long[] {2}, 5, 6);
    }

    static Stream<Arguments> bodies() {
        return Stream.of(
                // framing
                arguments("empty", new byte[0], 400, "malformed-body", ""),
                arguments("shorter than a length", new byte[5], 400, "malformed-body", ""),
                arguments("length past the body", Tensors.framed(500, "{}", new byte[0]), 400, "malformed-body", "500"),
                arguments("length that is negative", Tensors.framed(-1, "{}", new byte[0]), 400, "malformed-body", ""),
                arguments("length beyond the bound", Tensors.framed(1 << 20, "{}", new byte[0]), 400, "malformed-body", "1024"),
                arguments("header that is no object", Tensors.framed("[]", new byte[0]), 400, "malformed-body", ""),
                arguments("header that is cut", Tensors.framed("{" + ENTRY_W, new byte[16]), 400, "malformed-body", ""),
                arguments("duplicate key", Tensors.framed("{" + ENTRY_W + "," + ENTRY_W + "}", new byte[16]), 400, "malformed-body", "w"),
                arguments("metadata that is no string", Tensors.framed("{\"__metadata__\":{\"a\":1}," + ENTRY_W + "," + ENTRY_B + "}", new byte[24]), 400, "malformed-body", "__metadata__"),
                arguments("hole", body("[0,16]", "[20,28]", 28), 400, "malformed-body", "b"),
                arguments("overlap", body("[0,16]", "[12,20]", 20), 400, "malformed-body", "b"),
                arguments("start past zero", body("[4,20]", "[20,28]", 28), 400, "malformed-body", ""),
                arguments("data longer than the tensors", body("[0,16]", "[16,24]", 32), 400, "malformed-body", "152 bytes, its safetensors header announces 144"),
                arguments("data shorter than the tensors", body("[0,16]", "[16,24]", 20), 400, "malformed-body", "140 bytes, its safetensors header announces 144"),
                arguments("shape that overflows", Tensors.framed("{\"w\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,16]}}", new byte[16]), 400, "malformed-body", "4294967296"),
                arguments("shape that is negative", Tensors.framed("{\"w\":{\"dtype\":\"F32\",\"shape\":[-2,-2],\"data_offsets\":[0,16]}}", new byte[16]), 400, "malformed-body", "-2"),
                arguments("shape against the bytes", Tensors.framed("{\"w\":{\"dtype\":\"F32\",\"shape\":[3,2],\"data_offsets\":[0,16]}}", new byte[16]), 400, "malformed-body", "w"),
                // against the session
                arguments("unknown tensor", good().with("x", new long[] {1}, 7).body(), 422, "unknown-name", "x"),
                arguments("unknown slot", good().with("w#none", new long[] {1}, 7).body(), 422, "unknown-name", "w#none"),
                arguments("tensor that is missing", Tensors.none().with("w", new long[] {2, 2}, 1, 2, 3, 4).body(), 422, "invalid-value", "b"),
                arguments("wrong shape", Tensors.none().with("w", new long[] {4}, 1, 2, 3, 4).with("b", new long[] {2}, 5, 6).body(), 422, "invalid-value", "[2, 2]"),
                arguments("wrong dtype", Tensors.none().with("w", "I32", new long[] {2, 2}, new byte[16]).with("b", new long[] {2}, 5, 6).body(), 422, "invalid-value", "I32"),
                arguments("NaN", Tensors.none().with("w", new long[] {2, 2}, 1, Float.NaN, 3, 4).with("b", new long[] {2}, 5, 6).body(), 422, "non-finite", "w"),
                arguments("infinity", Tensors.none().with("w", new long[] {2, 2}, 1, 2, 3, 4).with("b", new long[] {2}, 5, Float.NEGATIVE_INFINITY).body(), 422, "non-finite", "b"));
    }

    private static byte[] body(String offsetsW, String offsetsB, int dataBytes) {
        return Tensors.framed("{" + ENTRY_W.replace("[0,16]", offsetsW) + "," + ENTRY_B.replace("[16,24]", offsetsB) + "}", new byte[dataBytes]);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("bodies")
    void bodyIsRefusedAndNothingChanges(String what, byte[] body, int status, String type, String detail) {
        assertRefused(Call.tensors("POST", session + "/steps", body), status, type, detail);
    }

    static Stream<Arguments> calls() {
        var step = session + "/steps";
        var right = good().body();
        return Stream.of(
                arguments("step number too high", Call.tensors("POST", step, right).header("Stepd-Step", "3"), 409, "step-mismatch", "3"),
                arguments("step number no number", Call.tensors("POST", step, right).header("Stepd-Step", "two"), 400, "invalid-request", "two"),
                arguments("step number zero", Call.tensors("POST", step, right).header("Stepd-Step", "0"), 400, "invalid-request", "at least 1"),
                arguments("last step with another body", Call.tensors("POST", step, Tensors.none()
                        .with("w", new long[] {2, 2}, 9, 9, 9, 9).with("b", new long[] {2}, 9, 9).body()).header("Stepd-Step", "1"), 422, "step-body-differs", "1"),
                arguments("no such session", Call.tensors("POST", "/v1/sessions/absent/steps", right), 404, "not-found", "absent"),
                arguments("unknown query parameter", Call.tensors("POST", step + "?partail=true", right), 400, "invalid-request", "\"partial\""),
                arguments("return of no kind", Call.tensors("POST", step + "?return=all", right), 400, "invalid-request", "return is all"),
                arguments("partial of no kind", Call.tensors("POST", step + "?partial=yes", right), 400, "invalid-request", "partial is yes"),
                arguments("content type of no kind", Call.of("POST", step).body("text/csv", right), 415, "unsupported-media-type", "text/csv"),
                arguments("no content type", Call.of("POST", step), 415, "unsupported-media-type", "missing"),
                arguments("compressed body", Call.tensors("POST", step, right).header("Content-Encoding", "gzip"), 415, "unsupported-media-type", "gzip"),
                arguments("JSON with a duplicate key", Call.json("POST", step, "{\"gradients\": {\"w\": [[1,2],[3,4]], \"w\": [[1,2],[3,4]], \"b\": [5,6]}}"), 400, "malformed-body", "Duplicate field 'w'"),
                arguments("JSON that is ragged", Call.json("POST", step, "{\"gradients\": {\"w\": [[1,2],[3]], \"b\": [5,6]}}"), 422, "invalid-value", "gradients.w[1]"),
                arguments("JSON number beyond F32", Call.json("POST", step, "{\"gradients\": {\"w\": [[1,2],[3,1e39]], \"b\": [5,6]}}"), 422, "invalid-value", "gradients.w[1][1]"),
                arguments("JSON NaN", Call.json("POST", step, "{\"gradients\": {\"w\": [[1,2],[3,NaN]], \"b\": [5,6]}}"), 400, "malformed-body", "line 1"),
                arguments("JSON of the wrong shape", Call.json("POST", step, "{\"gradients\": {\"w\": [1,2,3,4], \"b\": [5,6]}}"), 422, "invalid-value", "[2, 2]"),
                arguments("JSON beyond the limit", Call.json("POST", step, "{\"gradients\": {\"w\": [" + "1,".repeat(50_000) + "1]}}"), 413, "body-too-large", "65536"),
                arguments("JSON that is cut", Call.json("POST", step, "{\"gradients\": {\"w\": [[1,"), 400, "malformed-body", "line 1"),
                arguments("parameters that are not finite", Call.tensors("PUT", session + "/parameters", Tensors.none()
                        .with("w", new long[] {2, 2}, 1, 2, 3, Float.NaN).with("b", new long[] {2}, 5, 6).body()), 422, "non-finite", "w"),
                arguments("parameters that are missing", Call.tensors("PUT", session + "/parameters", Tensors.none()
                        .with("b", new long[] {2}, 5, 6).body()), 422, "invalid-value", "w"),
                arguments("parameters after a hole", Call.tensors("PUT", session + "/parameters", body("[0,16]", "[20,28]", 28)), 400, "malformed-body", "b"),
                arguments("state of no slot", Call.tensors("PUT", session + "/state", Tensors.f32("w#none", 1)), 422, "unknown-name", "w#none"),
                arguments("state as JSON", Call.json("PUT", session + "/state", "{}"), 415, "unsupported-media-type", RunningServer.SAFETENSORS),
                arguments("patch of the tensors", Call.json("PATCH", session, "{\"tensors\": []}"), 422, "invalid-value", "tensors"),
                arguments("patch of no hyperparameter", Call.json("PATCH", session, "{\"optimizer\": {\"learning_rate\": 1}}"), 422, "unknown-name", "learning_rate"),
                arguments("patch out of range", Call.json("PATCH", session, "{\"optimizer\": {\"beta1\": 1.5}}"), 422, "invalid-value", "beta1"),
                arguments("restore of no snapshot", Call.json("POST", session + "/restore", "{\"snapshot\": \"absent\"}"), 404, "not-found", "absent"),
                arguments("restore without one", Call.json("POST", session + "/restore", "{}"), 422, "invalid-value", "snapshot"),
                arguments("restore to a number", Call.json("POST", session + "/restore", "{\"snapshot\": \"a\", \"device\": 1}"), 422, "invalid-value", "device is 1"),
                arguments("restore of a number", Call.json("POST", session + "/restore", "{\"snapshot\": 1}"), 422, "invalid-value", "snapshot"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("calls")
    void callIsRefusedAndNothingChanges(String what, Call call, int status, String type, String detail) {
        assertRefused(call, status, type, detail);
    }

    static Stream<Arguments> descriptions() {
        return Stream.of(
                arguments("no object", "[]", 422, "invalid-value", "object"),
                arguments("nothing", "{}", 422, "invalid-value", "missing"),
                arguments("duplicate key", "{\"name\": \"a\", \"name\": \"b\"}", 400, "malformed-body", "Duplicate field 'name'"),
                arguments("unknown field", with("\"tensor\": 1"), 422, "unknown-name", "\"tensors\""),
                arguments("unknown optimizer", SESSION.replace("adamw", "adamww"), 422, "unknown-name", "\"adamw\""),
                arguments("unknown hyperparameter", SESSION.replace("\"adamw\"", "\"adamw\", \"beta3\": 1"), 422, "unknown-name", "beta3"),
                arguments("hyperparameter out of range", SESSION.replace("\"adamw\"", "\"adamw\", \"beta1\": 1.0"), 422, "invalid-value", "beta1"),
                arguments("hyperparameter no number", SESSION.replace("\"adamw\"", "\"adamw\", \"lr\": \"fast\""), 422, "invalid-value", "lr"),
                arguments("hyperparameter beyond all numbers", SESSION.replace("\"adamw\"", "\"adamw\", \"lr\": 1e999"), 422, "invalid-value", "lr"),
                arguments("unknown schedule", with("\"schedule\": {\"name\": \"cosinus\"}"), 422, "unknown-name", "cosine"),
                arguments("unknown clip", with("\"clip\": {\"norm\": 1}"), 422, "unknown-name", "norm"),
                arguments("unknown dtype", SESSION.replace("[2]}", "[2], \"dtype\": \"F31\"}"), 422, "unknown-name", "F31"),
                arguments("shape that is negative", SESSION.replace("[2]", "[-2]"), 422, "invalid-value", "-2"),
                arguments("shape that is fractional", SESSION.replace("[2]", "[2.5]"), 422, "invalid-value", "2.5"),
                arguments("shape that overflows", SESSION.replace("[2]", "[4294967296, 4294967296]"), 422, "invalid-value", "4294967296"),
                arguments("tensor named twice", SESSION.replace("\"b\"", "\"w\""), 422, "invalid-value", "w"),
                arguments("tensor without a name", SESSION.replace("\"name\": \"b\", ", ""), 422, "invalid-value", "name"),
                arguments("larger than the machine", SESSION.replace("[2]", "[1000000000]"), 507, "out-of-memory", "bytes"),
                arguments("device that is absent", with("\"device\": \"cuda\""), 422, "device-unavailable", "cuda"),
                arguments("policy of no kind", with("\"non_finite\": \"ignore\""), 422, "", "non_finite"),
                arguments("durability of no kind", with("\"durability\": \"always\""), 422, "", "durability"));
    }

    private static String with(String field) {
        return SESSION.replaceFirst("\\{", "{" + field + ", ");
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("descriptions")
    void descriptionIsRefusedAndNothingIsMade(String what, String description, int status, String type, String detail) {
        int before = RunningServer.json(server.send(Call.of("GET", "/v1/sessions?page_size=1000"))).get("sessions").size();
        assertRefused(Call.json("POST", "/v1/sessions", description), status, type, detail);
        assertThat(RunningServer.json(server.send(Call.of("GET", "/v1/sessions?page_size=1000"))).get("sessions")).hasSize(before);
    }

    @Test
    void bodyCutInTheMiddleChangesNothing() throws Exception {
        var before = standing();
        try (var socket = connect()) {
            var body = good().body();
            head(socket, body.length);
            socket.getOutputStream().write(body, 0, body.length - 1);
        }
        assertThat(standing()).isEqualTo(before);
        assertNothingIsInFlight();
    }

    @Test
    void bodyThatStandsStillIsGivenUp() throws Exception {
        var before = standing();
        try (var socket = connect()) {
            var body = good().body();
            head(socket, body.length);
            socket.getOutputStream().write(body, 0, body.length - 1);
            var answer = new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertThat(answer).startsWith("HTTP/1.1 408").contains("body-timeout", "no byte of the body came for 300 ms");
        }
        assertThat(standing()).isEqualTo(before);
        assertNothingIsInFlight();
    }

    /// What a given-up body held can be had again: every byte in flight is free.
    private static void assertNothingIsInFlight() {
        var small = server.session(SESSION);
        var answer = server.send(Call.tensors("POST", small + "/steps", good().body()));
        assertThat(answer.statusCode()).isIn(200, 409);
        server.send(Call.of("DELETE", small));
    }

    private static void assertRefused(Call call, int status, String type, String detail) {
        var before = standing();
        var response = server.send(call);
        assertThat(response.statusCode()).as(text(response)).isEqualTo(status);
        assertThat(response.headers().firstValue("Content-Type")).contains("application/problem+json");
        var problem = RunningServer.json(response);
        assertThat(problem.get("type").asText()).startsWith("https://stepd.dev/problems/" + type);
        assertThat(problem.get("status").asInt()).isEqualTo(status);
        assertThat(problem.get("detail").asText()).isNotEmpty().contains(detail);
        assertThat(problem.get("effect").asText()).isEqualTo("none");
        assertThat(standing()).isEqualTo(before);
    }

    /// Step and digest of the session.
    private static String standing() {
        return text(server.send(Call.of("GET", session + "/digest")));
    }

    private static String text(HttpResponse<byte[]> response) {
        return new String(response.body(), StandardCharsets.UTF_8);
    }

    private static Socket connect() throws IOException {
        var socket = new Socket(server.address().getHost(), server.address().getPort());
        socket.setSoTimeout(20_000);
        return socket;
    }

    private static void head(Socket socket, int length) throws IOException {
        socket.getOutputStream().write(("POST " + session + "/steps HTTP/1.1\r\nHost: stepd\r\nContent-Type: "
                + RunningServer.SAFETENSORS + "\r\nContent-Length: " + length + "\r\n\r\n").getBytes(StandardCharsets.US_ASCII));
    }
}
