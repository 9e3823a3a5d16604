package dev.stepd.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.session.StepOrder.Return;
import dev.stepd.tensor.Bodies;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.CompletionStage;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ExactlyOnceTest {
    private static final String MOMENTUM = """
            {"optimizer": {"name": "sgd", "lr": 0.5, "momentum": 0.5}, "durability": "none",
             "tensors": [{"name": "w", "shape": [2]}, {"name": "v", "shape": [1]}]}""";

    @TempDir
    Path folder;

    private Server server;
    private Session session;

    @BeforeEach
    void start() {
        server = new Server(folder);
        session = server.create(MOMENTUM);
    }

    @AfterEach
    void stop() {
        server.close();
    }

    private static byte[] gradient(float value) {
        return Server.body("v", new float[] {value}, "w", new float[] {value, 2 * value});
    }

    @Test
    void stepsInOrderWhateverTheOrderOfTheBody() {
        var first = Server.step(session, 1, gradient(1));
        assertThat(first.deltas().get("w")).containsExactly(-0.5f, -1f);
        assertThat(first.deltas().get("v")).containsExactly(-0.5f);
        assertThat(first.gradNorm()).isEqualTo(Math.sqrt(6));
        var second = Server.step(session, 0, Server.body("w", new float[] {1, 2}, "v", new float[] {1}));
        assertThat(second.step()).isEqualTo(2);
        assertThat(second.deltas().get("w")).containsExactly(-0.75f, -1.5f);
        assertThat(session.status().step()).isEqualTo(2);
    }

    @Test
    void takesNarrowGradients() {
        var json = "{\"w\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[0,4]},"
                + "\"v\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[4,6]}}";
        var reply = Server.step(session, 1, Bodies.body(json, new byte[] {(byte) 0x80, 0x3f, 0x00, 0x40, 0x00, 0x3c}));
        assertThat(reply.deltas().get("w")).containsExactly(-0.5f, -1f);
        assertThat(reply.deltas().get("v")).containsExactly(-0.5f);
    }

    @Test
    void replaysTheLastStepAndNoOther() {
        var first = Server.step(session, 1, gradient(1));
        var again = Server.step(session, 1, gradient(1));
        assertThat(again.replayed()).isTrue();
        assertThat(again.deltas()).isEqualTo(first.deltas());
        Server.step(session, 2, gradient(3));
        assertMismatch(1, gradient(1), 2);
        assertThat(Server.step(session, 2, gradient(3)).replayed()).isTrue();
        assertThat(Server.step(session, 3, gradient(1)).replayed()).isFalse();
    }

    @Test
    void refusesAnotherBodyForTheLastStep() {
        Server.step(session, 1, gradient(1));
        assertThatThrownBy(() -> Server.step(session, 1, gradient(2)))
                .satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(ErrorCode.STEP_BODY_DIFFERS))
                .hasMessage("step 1 was taken already, from another body");
        assertThat(session.status().step()).isEqualTo(1);
    }

    @Test
    void refusesEveryOtherNumber() {
        for (long number : new long[] {-1, 2, 3, Long.MAX_VALUE}) {
            assertMismatch(number, gradient(1), 0);
        }
        Server.step(session, 1, gradient(1));
        assertMismatch(3, gradient(1), 1);
        assertThat(session.status().step()).isEqualTo(1);
    }

    @Test
    void makesTheSecondOfTwoEqualBodiesTheReplay() {
        var bodies = new ArrayList<Incoming<StepAnswer>>();
        var stages = new ArrayList<CompletionStage<StepAnswer>>();
        for (int i = 0; i < 4; i++) {
            bodies.add(session.receiveStep(Server.order(1, gradient(1))));
        }
        for (var body : bodies) {
            body.write(ByteBuffer.wrap(gradient(1)));
            stages.add(body.finish());
            body.close();
        }
        var replies = stages.stream().map(Server::get).map(Server::reply).toList();
        assertThat(replies).extracting(Server.Reply::replayed).containsExactly(false, true, true, true);
        assertThat(replies).extracting(Server.Reply::deltas).containsOnly(replies.getFirst().deltas());
        assertThat(session.status().step()).isEqualTo(1);
    }

    @Test
    void takesBodiesThatOverlapInTheOrderTheyAreComplete() {
        try (var one = session.receiveStep(Server.order(1, gradient(1)));
                var two = session.receiveStep(Server.order(2, gradient(2)))) {
            two.write(ByteBuffer.wrap(gradient(2)));
            one.write(ByteBuffer.wrap(gradient(1)));
            assertThat(Server.reply(Server.get(one.finish())).step()).isEqualTo(1);
            assertThat(Server.reply(Server.get(two.finish())).step()).isEqualTo(2);
        }
        try (var four = session.receiveStep(Server.order(0, gradient(1)));
                var far = session.receiveStep(Server.order(4, gradient(1)))) {
            far.write(ByteBuffer.wrap(gradient(1)));
            assertThatThrownBy(() -> Server.get(far.finish()))
                    .satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(ErrorCode.STEP_MISMATCH));
        }
        assertThat(session.status().step()).isEqualTo(2);
    }

    @Test
    void keepsAnAnswerReadableWhileTheNextStepIsTaken() {
        StepAnswer first;
        try (var body = session.receiveStep(Server.order(1, gradient(1)))) {
            body.write(ByteBuffer.wrap(gradient(1)));
            first = Server.get(body.finish());
        }
        for (int i = 2; i < 8; i++) {
            Server.step(session, i, gradient(i));
        }
        assertThat(Server.read(first.message()).get("w")).containsExactly(-0.5f, -1f);
        first.close();
        first.close();
        for (int i = 8; i < 12; i++) {
            assertThat(Server.step(session, i, gradient(i)).step()).isEqualTo(i);
        }
    }

    @Test
    void changesNothingForABodyThatIsCut() {
        var body = gradient(1);
        for (int length : new int[] {0, 5, 100, body.length - 1}) {
            try (var incoming = session.receiveStep(Server.order(1, body))) {
                incoming.write(ByteBuffer.wrap(body, 0, length));
                assertThatThrownBy(() -> Server.get(incoming.finish()))
                        .satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(ErrorCode.MALFORMED_BODY))
                        .hasMessageContaining("ends after " + length + " bytes");
            }
        }
        try (var dropped = session.receiveStep(Server.order(1, body))) {
            dropped.write(ByteBuffer.wrap(body, 0, 120));
        }
        assertThat(session.status().step()).isZero();
        assertThat(Server.step(session, 1, body).replayed()).isFalse();
    }

    @Test
    void answersAReplayInAnotherForm() {
        Server.upload(session, gradient(1));
        Server.step(session, 1, gradient(1));
        assertThat(step(1, Return.NONE, gradient(1)).deltas()).isEmpty();
        var replay = step(1, Return.PARAMETERS, gradient(1));
        assertThat(replay.replayed()).isTrue();
        assertThat(replay.deltas().get("w")).containsExactly(0.5f, 1f);
        assertThat(step(2, Return.PARAMETERS, gradient(1)).deltas().get("w")).containsExactly(-0.25f, -0.5f);
        assertThat(Server.read(session.parameters()).get("w")).containsExactly(-0.25f, -0.5f);
    }

    @Test
    void agreesWithAClientThatAddsTheDeltas() {
        Server.upload(session, Server.body("w", new float[] {0.1f, 0.2f}, "v", new float[] {0.3f}));
        float[] mine = {0.1f, 0.2f};
        for (int i = 1; i <= 50; i++) {
            var delta = Server.step(session, i, gradient(i * 0.37f)).deltas().get("w");
            mine[0] += delta.get(0);
            mine[1] += delta.get(1);
        }
        assertThat(Server.read(session.parameters()).get("w")).isEqualTo(Arrays.asList(mine[0], mine[1]));
    }

    @Test
    void forgetsTheLastAnswerWhenStateIsImported() {
        Server.step(session, 1, gradient(1));
        var state = Server.sent(session.state());
        Server.put(session.receiveState(state.length), state);
        assertMismatch(1, gradient(1), 1);
        assertThat(Server.step(session, 2, gradient(1)).deltas().get("w")).containsExactly(-0.75f, -1.5f);
    }

    @Test
    void stepsALargeSessionOnThePool() {
        int n = 100_000;
        var large = server.create("""
                {"optimizer": {"name": "sgd", "lr": 1}, "durability": "none", "tensors": [{"name": "w", "shape": [100000]}]}""");
        var gradient = new float[n];
        Arrays.fill(gradient, 2);
        var body = Server.body("w", gradient);
        assertThat(Server.step(large, 1, body).deltas().get("w")).containsOnly(-2f).hasSize(n);
        assertThat(Server.step(large, 1, body).replayed()).isTrue();
        assertThat(List.of(session.status().step(), large.status().step())).containsExactly(0L, 1L);
    }

    private Server.Reply step(long number, Return returned, byte[] body) {
        return Server.step(session, new StepOrder(OptionalLong.of(number), false, returned, body.length), body);
    }

    private void assertMismatch(long number, byte[] body, long current) {
        assertThatThrownBy(() -> Server.step(session, number, body))
                .isInstanceOfSatisfying(ServiceException.class, e -> {
                    assertThat(e.code()).isEqualTo(ErrorCode.STEP_MISMATCH);
                    assertThat(e.members()).containsEntry("current_step", current).containsEntry("durable_step", 0L);
                });
    }
}
