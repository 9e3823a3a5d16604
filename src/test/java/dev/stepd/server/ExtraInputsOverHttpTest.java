package dev.stepd.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.stepd.server.RunningServer.Call;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
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

/// What a step brings beside gradients, as clients send it.
class ExtraInputsOverHttpTest {
    private static final long[] W = {2, 2};
    private static final long[] B = {2};

    @TempDir
    static Path data;

    private static RunningServer server;

    @BeforeAll
    static void start() {
        server = RunningServer.start(data, Map.of("memory", "64MB"));
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    private static String session(String optimizer) {
        var path = server.session("{\"optimizer\": " + optimizer + ", \"tensors\": [{\"name\": \"w\", \"shape\": [2, 2]},"
                + " {\"name\": \"b\", \"shape\": [2]}]}");
        var parameters = gradients().body();
        assertThat(server.send(Call.tensors("PUT", path + "/parameters", parameters)).statusCode()).isEqualTo(200);
        return path;
    }

    private static String sophia() {
        return session("{\"name\": \"sophia_g\", \"lr\": 0.1, \"bs\": 2, \"beta2\": 0.5, \"weight_decay\": 0}");
    }

    private static String sania() {
        return session("{\"name\": \"sania\"}");
    }

    private static Tensors gradients() {
        return Tensors.none().with("w", W, 1, 2, 3, 4).with("b", B, 5, 6);
    }

    private static Tensors estimates() {
        return gradients().with("w#hess_grad", W, 3, 1, 4, 1).with("b#hess_grad", B, 5, 9);
    }

    private static HttpResponse<byte[]> step(String session, byte[] body) {
        return server.send(Call.tensors("POST", session + "/steps", body));
    }

    static Stream<Arguments> wrong() {
        var sophia = sophia();
        var sania = sania();
        var adam = session("{\"name\": \"adam\"}");
        return Stream.of(
                arguments("for some tensors only", sophia, gradients().with("w#hess_grad", W, 1, 2, 3, 4), "invalid-value",
                        "input b#hess_grad is missing: a step brings hess_grad for each tensor it has a gradient of, or for none; 1 of 2 came"),
                arguments("of no tensor", sophia, estimates().with("ww#hess_grad", B, 1, 2), "unknown-name",
                        "unknown input ww#hess_grad; did you mean \"w#hess_grad\"?; this session's optimizer takes <tensor>#hess_grad"),
                arguments("of no name", sophia, gradients().with("w#hess_grd", W, 1, 2, 3, 4), "unknown-name", "did you mean \"w#hess_grad\"?"),
                arguments("of another optimizer", sophia, gradients().with("#loss", B, 1, 2), "unknown-name", "takes <tensor>#hess_grad"),
                arguments("of another shape", sophia, gradients().with("w#hess_grad", new long[] {4}, 1, 2, 3, 4), "invalid-value",
                        "input w#hess_grad has shape [4], expected [2, 2]"),
                arguments("of another dtype", sophia, gradients().with("w#hess_grad", "F64", W, new byte[32]), "invalid-value",
                        "input w#hess_grad has dtype F64, expected F32, F16 or BF16"),
                arguments("NaN", sophia, gradients().with("w#hess_grad", W, 3, 1, 4, 1).with("b#hess_grad", B, 5, Float.NaN), "non-finite",
                        "input b#hess_grad holds NaN or infinity"),
                arguments("none taken", adam, estimates(), "unknown-name",
                        "unknown input w#hess_grad: this session's optimizer takes no input but gradients"),
                arguments("missing for a tensor", session("{\"name\": \"adahessian\"}"), gradients().with("b#hessian_diag", B, 1, 2), "invalid-value",
                        "input w#hessian_diag is missing: every step of adahessian brings hessian_diag for each tensor it has a gradient of"),
                arguments("missing", sania, gradients(), "invalid-value", "input #loss is missing: every step of sania brings it, one number"),
                arguments("two numbers for one", sania, gradients().with("#loss", B, 1, 2), "invalid-value",
                        "input #loss has shape [2], expected one element, [] or [1]"),
                arguments("infinite", sania, gradients().with("#loss", new long[0], Float.POSITIVE_INFINITY), "non-finite", "input #loss"),
                arguments("without its sign", sania, gradients().with("loss", new long[0], 1), "unknown-name", "did you mean \"#loss\"?"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("wrong")
    void isRefusedAndNothingChanges(String what, String session, Tensors body, String type, String detail) {
        assertRefused(session, Call.tensors("POST", session + "/steps", body.body()), type, detail);
    }

    private static void assertRefused(String session, Call call, String type, String detail) {
        var before = server.send(Call.of("GET", session + "/digest")).body();
        var response = server.send(call);
        var problem = RunningServer.json(response);
        assertThat(response.statusCode()).as(problem.toString()).isEqualTo(422);
        assertThat(problem.get("type").asText()).endsWith(type);
        assertThat(problem.get("detail").asText()).contains(detail);
        assertThat(problem.get("effect").asText()).isEqualTo("none");
        assertThat(server.send(Call.of("GET", session + "/digest")).body()).isEqualTo(before);
    }

    @Test
    void jsonIsRefusedLikewise() {
        var sania = sania();
        assertRefused(sania, Call.json("POST", sania + "/steps", "{\"gradients\": {\"w\": [[1, 2], [3, 4]], \"b\": [5, 6]}}"),
                "invalid-value", "input #loss is missing");
        var sophia = sophia();
        assertRefused(sophia, Call.json("POST", sophia + "/steps",
                        "{\"gradients\": {\"w\": [[1, 2], [3, 4]], \"b\": [5, 6], \"w#hess_grad\": [[1, 2], [3, 4]]}}"),
                "invalid-value", "input b#hess_grad is missing");
    }

    @Test
    void anEstimateCountsFromTheNextStep() {
        var with = sophia();
        var without = sophia();
        assertThat(step(with, estimates().body()).body()).isEqualTo(step(without, gradients().body()).body());
        assertThat(hessian(with)).containsExactly(4.5f, 0.5f, 8, 0.5f);
        assertThat(hessian(without)).containsOnly(0);
        assertThat(step(with, gradients().body()).body()).isNotEqualTo(step(without, gradients().body()).body());
        assertThat(hessian(with)).containsExactly(4.5f, 0.5f, 8, 0.5f);
    }

    private static float[] hessian(String session) {
        var state = server.send(Call.of("GET", session + "/state").header("Accept", RunningServer.JSON));
        var values = new float[4];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) RunningServer.json(state).get("state").get("w#hessian").get(i / 2).get(i % 2).asDouble();
        }
        return values;
    }

    @Test
    void jsonAndNarrowBytesMeanTheSame() {
        var expected = Tensors.values(step(sania(), gradients().with("#loss", new long[] {1}, 0.375f).body()).body());
        assertThat(Tensors.values(step(sania(), gradients().with("#loss", new long[0], 0.375f).body()).body())).isEqualTo(expected);
        var narrow = ByteBuffer.allocate(2).order(ByteOrder.LITTLE_ENDIAN).putShort(Float.floatToFloat16(0.375f)).array();
        assertThat(Tensors.values(step(sania(), gradients().with("#loss", "F16", new long[0], narrow).body()).body())).isEqualTo(expected);
        var json = RunningServer.json(server.send(Call.json("POST", sania() + "/steps",
                "{\"gradients\": {\"#loss\": 0.375, \"w\": [[1, 2], [3, 4]], \"b\": [5, 6]}}")));
        assertThat((float) json.get("deltas").get("b").get(1).asDouble()).isEqualTo(expected[5]);
        assertThat(json.get("deltas")).hasSize(2);
    }

    @Test
    void theOrderOfABodyDoesNotMatter() {
        var one = sophia();
        var other = sophia();
        step(one, estimates().body());
        step(other, Tensors.none().with("b#hess_grad", B, 5, 9).with("b", B, 5, 6).with("w#hess_grad", W, 3, 1, 4, 1).with("w", W, 1, 2, 3, 4).body());
        assertThat(server.send(Call.of("GET", one + "/digest")).body()).isEqualTo(server.send(Call.of("GET", other + "/digest")).body());
    }

    @Test
    void aPartialStepBringsThemForWhoTakesPart() {
        var session = sophia();
        var part = Tensors.none().with("b", B, 5, 6).with("b#hess_grad", B, 5, 9).body();
        var answer = server.send(Call.tensors("POST", session + "/steps?partial=true", part));
        assertThat(answer.statusCode()).isEqualTo(200);
        assertThat(Tensors.values(answer.body())).hasSize(2);
        assertThat(hessian(session)).containsOnly(0);
        var without = Tensors.none().with("b", B, 5, 6).with("b#hess_grad", B, 5, 9).with("w#hess_grad", W, 3, 1, 4, 1).body();
        assertRefused(session, Call.tensors("POST", session + "/steps?partial=true", without), "invalid-value",
                "input w#hess_grad came without gradient w: a tensor brings both or neither");
    }

    @Test
    void aReplayIsOfTheWholeBody() {
        var session = sania();
        var body = gradients().with("#loss", new long[0], 0.5f).body();
        var first = server.send(Call.tensors("POST", session + "/steps", body).header("Stepd-Step", "1"));
        var again = server.send(Call.tensors("POST", session + "/steps", body).header("Stepd-Step", "1"));
        assertThat(again.headers().firstValue("Stepd-Replayed")).contains("true");
        assertThat(again.body()).isEqualTo(first.body());
        var other = gradients().with("#loss", new long[0], 0.25f).body();
        assertRefused(session, Call.tensors("POST", session + "/steps", other).header("Stepd-Step", "1"), "step-body-differs", "step 1");
    }

    @Test
    void theCatalogueTellsThem() {
        var sania = RunningServer.json(server.send(Call.of("GET", "/v1/optimizers/sania"))).get("extra_inputs").get(0);
        assertThat(sania.get("key").asText()).isEqualTo("#loss");
        assertThat(sania.get("scope").asText()).isEqualTo("session");
        assertThat(sania.get("required").asBoolean()).isTrue();
        var sophia = RunningServer.json(server.send(Call.of("GET", "/v1/optimizers/sophia_g"))).get("extra_inputs").get(0);
        assertThat(sophia.get("key").asText()).isEqualTo("<tensor>#hess_grad");
        assertThat(sophia.get("scope").asText()).isEqualTo("element");
        assertThat(sophia.get("required").asBoolean()).isFalse();
        assertThat(RunningServer.json(server.send(Call.of("GET", "/v1/optimizers/adam"))).get("extra_inputs")).isEmpty();
    }
}
