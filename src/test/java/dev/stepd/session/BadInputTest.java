package dev.stepd.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.stepd.error.ErrorCode;
import dev.stepd.session.StepOrder.Return;
import dev.stepd.tensor.Bodies;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Map;
import java.util.OptionalLong;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Whatever is wrong with a request: it is told, and the session is as it was.
class BadInputTest {
    private static final String ADAMW = """
            {"optimizer": {"name": "adamw"}, "durability": "none", %s
             "tensors": [{"name": "w", "shape": [2]}, {"name": "v", "shape": [1]}]}""";
    private static final byte[] GOOD = Server.body("w", new float[] {1, 2}, "v", new float[] {3});

    @TempDir
    Path folder;

    private Server server;
    private Session session;

    @BeforeEach
    void start() {
        server = new Server(folder);
        session = server.create(ADAMW.formatted(""));
        Server.upload(session, GOOD);
    }

    @AfterEach
    void stop() {
        server.close();
    }

    @Test
    void refusesGradientsThatAreNotTheSessions() {
        assertStepRefused(Server.body("w", new float[2], "u", new float[1]), ErrorCode.UNKNOWN_NAME,
                "unknown gradient u; did you mean");
        assertStepRefused(Server.body("w", new float[2]), ErrorCode.INVALID_VALUE,
                "gradient v is missing, 1 of 2 are; send every tensor's, or ask for partial=true");
        assertStepRefused(Server.body("w", new float[3], "v", new float[1]), ErrorCode.INVALID_VALUE,
                "gradient w has shape [3], expected [2]");
        assertStepRefused(Server.body("w#hessian_diag", new float[2]), ErrorCode.UNKNOWN_NAME,
                "unknown input w#hessian_diag: this session's optimizer takes no input but gradients");
        assertStepRefused(Server.body("#loss", new float[1]), ErrorCode.UNKNOWN_NAME, "unknown input #loss");
        assertStepRefused(Bodies.body("{\"v\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]}}", new byte[8]),
                ErrorCode.INVALID_VALUE, "gradient v has dtype F64, expected F32, F16 or BF16");
        assertStepRefused(Bodies.body("{\"v\":{}}", new byte[8]), ErrorCode.MALFORMED_BODY, "tensor v lacks dtype");
    }

    @Test
    void refusesABodyLargerThanTheSessionCouldNeed() {
        long limit = 8 + (1 << 20) + 12;
        assertRefused(() -> session.receiveStep(new StepOrder(OptionalLong.empty(), false, Return.DELTA, limit + 1)),
                ErrorCode.BODY_TOO_LARGE, "at most " + limit);
        assertRefused(() -> session.receiveParameters(limit + 1), ErrorCode.BODY_TOO_LARGE, "at most " + limit);
        assertRefused(() -> session.receiveState(limit + 100), ErrorCode.BODY_TOO_LARGE, "at most");
    }

    @Test
    void stepsOnlyWhatCameInAPartialStep() {
        var order = new StepOrder(OptionalLong.of(1), true, Return.DELTA, -1);
        var partial = Server.step(session, order, Server.body("v", new float[] {1}));
        assertThat(partial.deltas()).containsOnlyKeys("v");
        assertThat(Server.step(session, order, Server.body("v", new float[] {1})).deltas()).isEqualTo(partial.deltas());
        assertThat(Server.read(session.parameters()).get("w")).containsExactly(1f, 2f);
        assertThat(Server.read(session.state()).get("w#exp_avg")).containsExactly(0f, 0f);
        assertRefused(() -> Server.step(session, new StepOrder(OptionalLong.empty(), true, Return.DELTA, -1),
                Server.body("x", new float[] {1})), ErrorCode.UNKNOWN_NAME, "unknown gradient x");
        var state = new String(Server.sent(session.state()), java.nio.charset.StandardCharsets.ISO_8859_1);
        assertThat(state).contains("\"step\":\"1\"", "\"tensor_steps\":\"[0, 1]\"");
    }

    @Test
    void treatsNonFiniteGradientsAsTheSessionSays() {
        var nan = Server.body("w", new float[] {1, 1}, "v", new float[] {Float.NaN});
        assertStepRefused(nan, ErrorCode.NON_FINITE, "gradient v holds NaN or infinity and the session's non_finite is reject");

        var skipping = server.create(ADAMW.formatted("\"non_finite\": \"skip\","));
        Server.upload(skipping, GOOD);
        var skipped = Server.step(skipping, 1, nan);
        assertThat(skipped.step()).isEqualTo(1);
        assertThat(skipped.deltas().get("w")).containsExactly(0f, 0f);
        assertThat(Server.read(skipping.parameters()).get("w")).containsExactly(1f, 2f);
        assertThat(Server.step(skipping, 1, nan).replayed()).isTrue();

        var propagating = server.create(ADAMW.formatted("\"non_finite\": \"propagate\","));
        Server.upload(propagating, GOOD);
        assertThat(Server.step(propagating, 1, nan).deltas().get("v")).containsExactly(Float.NaN);
    }

    @Test
    void wantsParametersBeforeARuleThatReadsThem() {
        var fresh = server.create(ADAMW.formatted(""));
        assertRefused(() -> Server.step(fresh, 1, GOOD), ErrorCode.PARAMETERS_MISSING, "upload them before the first step");
        assertRefused(() -> Server.get(fresh.parameters()), ErrorCode.PARAMETERS_MISSING, "none were uploaded");
        var plain = server.create("{\"optimizer\":{\"name\":\"sgd\",\"lr\":1},\"durability\":\"none\",\"tensors\":[{\"name\":\"w\",\"shape\":[1]}]}");
        var gradient = Server.body("w", new float[] {1});
        assertRefused(() -> Server.step(plain, new StepOrder(OptionalLong.empty(), false, Return.PARAMETERS, -1), gradient),
                ErrorCode.PARAMETERS_MISSING, "cannot return parameters");
        assertThat(Server.step(plain, 1, gradient).deltas().get("w")).containsExactly(-1f);
    }

    @Test
    void takesParametersWholeOrNotAtAll() {
        assertUploadRefused(Server.body("w", new float[] {1, 2}), ErrorCode.INVALID_VALUE, "parameter v is missing, 1 of 2 are");
        assertUploadRefused(Server.body("w", new float[] {5, 5}, "v", new float[] {Float.POSITIVE_INFINITY}),
                ErrorCode.NON_FINITE, "parameter v holds Infinity at index 0");
        assertUploadRefused(Bodies.body("{\"w\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[0,4]}}", new byte[4]),
                ErrorCode.INVALID_VALUE, "parameter w has dtype BF16, expected F32");
        var body = Server.body("w", new float[] {5, 5}, "v", new float[] {5});
        assertUploadRefused(java.util.Arrays.copyOf(body, body.length - 1), ErrorCode.MALFORMED_BODY, "the body has");
        try (var cut = session.receiveParameters(body.length)) {
            cut.write(ByteBuffer.wrap(body, 0, body.length - 4));
        }
        Server.upload(session, body);
        assertThat(Server.read(session.parameters()).get("w")).containsExactly(5f, 5f);
    }

    @Test
    void takesStateWholeOrNotAtAll() {
        var partial = Server.body("w#exp_avg", new float[] {1, 2});
        Server.put(session.receiveState(partial.length), partial);
        assertThat(Server.read(session.state()).get("w#exp_avg")).containsExactly(1f, 2f);
        assertStateRefused(Server.body("w#exp_avgs", new float[2]), ErrorCode.UNKNOWN_NAME,
                "unknown slot w#exp_avgs; did you mean \"w#exp_avg\"?");
        assertStateRefused(Server.body("w#exp_avg", new float[3]), ErrorCode.INVALID_VALUE, "slot w#exp_avg has shape [3]");
        assertStateRefused(Server.body(Map.of("step", "x"), "w#exp_avg", new float[2]), ErrorCode.INVALID_VALUE,
                "__metadata__.step is x, expected a whole number of at least 0");
        Server.step(session, 1, GOOD);
        var before = Server.get(session.digest());
        assertStateRefused(partial, ErrorCode.INVALID_VALUE, "only before the first step may some be left out");
        assertThat(Server.get(session.digest())).isEqualTo(before);
    }

    @Test
    void continuesFromAnImportedState() {
        Server.step(session, 1, GOOD);
        Server.step(session, 2, GOOD);
        var twin = server.create(ADAMW.formatted(""));
        Server.upload(twin, Server.sent(session.parameters()));
        var state = Server.sent(session.state());
        assertThat(Server.put(twin.receiveState(state.length), state).step()).isEqualTo(2);
        assertThat(Server.get(twin.digest())).isEqualTo(Server.get(session.digest()));
        assertThat(Server.step(twin, 3, GOOD).deltas()).isEqualTo(Server.step(session, 3, GOOD).deltas());
    }

    @Test
    void changesHyperparametersFromTheNextStepOn() {
        var sgd = server.create("{\"optimizer\":{\"name\":\"sgd\",\"lr\":1},\"durability\":\"none\",\"tensors\":[{\"name\":\"w\",\"shape\":[1]}]}");
        var gradient = Server.body("w", new float[] {1});
        Server.step(sgd, 1, gradient);
        var status = Server.get(sgd.patch(Server.object("{\"optimizer\":{\"lr\":0.25},\"name\":\"renamed\"}")));
        assertThat(status.description()).containsEntry("name", "renamed");
        assertThat(Server.step(sgd, 2, gradient).deltas().get("w")).containsExactly(-0.25f);
        assertRefused(() -> Server.get(sgd.patch(Server.object("{\"optimizer\":{\"lr\":-1}}"))), ErrorCode.INVALID_VALUE, "optimizer.lr");
        assertRefused(() -> Server.get(sgd.patch(Server.object("{\"device\":\"cpu\"}"))), ErrorCode.INVALID_VALUE, "device cannot be changed");
        assertThat(Server.step(sgd, 3, gradient).deltas().get("w")).containsExactly(-0.25f);
    }

    @Test
    void refusesASessionThatCannotBe() {
        assertRefused(() -> server.create(ADAMW.formatted("").replace("adamw", "adamx")), ErrorCode.UNKNOWN_NAME, "adamx");
        assertRefused(() -> server.create(ADAMW.formatted("").replace("[2]", "[1000000000]")), ErrorCode.OUT_OF_MEMORY, "bytes");
        assertRefused(() -> server.sessions.find("nobody"), ErrorCode.NOT_FOUND, "no session nobody");
        assertThat(server.sessions.count()).isEqualTo(1);
    }

    private void assertStepRefused(byte[] body, ErrorCode code, String message) {
        var before = Server.get(session.digest());
        assertRefused(() -> Server.step(session, 1, body), code, message);
        assertThat(Server.get(session.digest())).isEqualTo(before);
        assertThat(session.status().step()).isZero();
    }

    private void assertUploadRefused(byte[] body, ErrorCode code, String message) {
        var before = Server.get(session.digest());
        assertRefused(() -> Server.upload(session, body), code, message);
        assertThat(Server.get(session.digest())).isEqualTo(before);
    }

    private void assertStateRefused(byte[] body, ErrorCode code, String message) {
        assertRefused(() -> Server.put(session.receiveState(body.length), body), code, message);
    }

    private static void assertRefused(ThrowingCallable call, ErrorCode code, String message) {
        assertThatThrownBy(call).satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(code)).hasMessageContaining(message);
    }
}
