package dev.stepd.server;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.server.RunningServer.Call;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// What a client sees of a step and of what is around it.
class StepOverHttpTest {
    private static final byte[] GRADIENTS = Tensors.none()
            .with("w", new long[] {2, 2}, 1, 2, 3, 4).with("b", new long[] {2}, 5, 6).body();
    private static final String GRADIENTS_JSON = "{\"gradients\": {\"w\": [[1, 2], [3, 4]], \"b\": [5, 6]}}";

    @TempDir
    static Path data;

    private static RunningServer server;
    private String session;

    @BeforeAll
    static void start() {
        server = RunningServer.start(data, Map.of());
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    @BeforeEach
    void createSession() {
        session = server.session("""
                {"optimizer": {"name": "sgd", "lr": 0.5},
                 "tensors": [{"name": "w", "shape": [2, 2]}, {"name": "b", "shape": [2]}]}""");
    }

    @Test
    void gradientsBecomeDeltas() {
        var answer = step(GRADIENTS);
        assertThat(Tensors.values(answer.body())).containsExactly(-0.5f, -1, -1.5f, -2, -2.5f, -3);
        assertThat(header(answer, "Content-Type")).isEqualTo(RunningServer.SAFETENSORS);
        assertThat(header(answer, "Stepd-Step")).isEqualTo("1");
        assertThat(header(answer, "Stepd-Lr")).isEqualTo("0.5");
        assertThat(Double.parseDouble(header(answer, "Stepd-Grad-Norm"))).isEqualTo(Math.sqrt(91));
        assertThat(header(answer, "Server-Timing")).matches("recv;dur=[\\d.]+, queue;dur=[\\d.]+, compute;dur=[\\d.]+, send;dur=[\\d.]+");
        assertThat(answer.headers().firstValue("Stepd-Replayed")).isEmpty();
    }

    @Test
    void jsonTakesTheSameStep() {
        var json = RunningServer.json(server.send(Call.json("POST", session + "/steps", GRADIENTS_JSON)));
        assertThat(json.toString()).isEqualTo("{\"step\":1,\"lr\":0.5,\"grad_norm\":" + Math.sqrt(91)
                + ",\"deltas\":{\"w\":[[-0.5,-1.0],[-1.5,-2.0]],\"b\":[-2.5,-3.0]}}");
    }

    @Test
    void lostAnswerIsSentAgainByteForByte() {
        var first = server.send(Call.tensors("POST", session + "/steps", GRADIENTS).header("Stepd-Step", "1"));
        var again = server.send(Call.tensors("POST", session + "/steps", GRADIENTS).header("Stepd-Step", "1"));
        assertThat(again.body()).isEqualTo(first.body());
        assertThat(header(again, "Stepd-Replayed")).isEqualTo("true");
        assertThat(header(again, "Stepd-Step")).isEqualTo("1");
        var mismatch = server.send(Call.tensors("POST", session + "/steps", GRADIENTS).header("Stepd-Step", "7"));
        assertThat(RunningServer.json(mismatch).get("current_step").asLong()).isEqualTo(1);
        assertThat(RunningServer.json(mismatch).has("durable_step")).isTrue();
    }

    @Test
    void answerHoldsWhatWasAskedFor() {
        assertThat(server.send(Call.json("POST", session + "/steps?return=none", GRADIENTS_JSON)).body()).asString().doesNotContain("deltas");
        var none = server.send(Call.tensors("POST", session + "/steps?return=none", GRADIENTS));
        assertThat(Tensors.values(none.body())).isEmpty();
        server.send(Call.json("PUT", session + "/parameters", "{\"parameters\": {\"w\": [[1, 1], [1, 1]], \"b\": [1, 1]}}"));
        var parameters = server.send(Call.tensors("POST", session + "/steps?return=parameters", GRADIENTS));
        assertThat(Tensors.values(parameters.body())).containsExactly(0.5f, 0, -0.5f, -1, -1.5f, -2);
    }

    @Test
    void partialStepLeavesTheOthersAlone() {
        var answer = server.send(Call.json("POST", session + "/steps?partial=true", "{\"gradients\": {\"b\": [2, 4]}}"));
        assertThat(RunningServer.json(answer).get("deltas").get("b").toString()).isEqualTo("[-1.0,-2.0]");
    }

    @Test
    void parametersComeAndGoAsJson() {
        var put = server.send(Call.json("PUT", session + "/parameters", "{\"parameters\": {\"b\": [0.1, 3], \"w\": [[1, 2], [3, 4]]}}"));
        assertThat(put.statusCode()).as(new String(put.body())).isEqualTo(200);
        var got = server.send(Call.of("GET", session + "/parameters").header("Accept", RunningServer.JSON));
        assertThat(new String(got.body())).isEqualTo("{\"step\":0,\"parameters\":{\"w\":[[1.0,2.0],[3.0,4.0]],\"b\":[0.1,3.0]}}");
    }

    @Test
    void pagesNameEverySessionOnce() {
        IntStream.range(0, 5).forEach(i -> createSession());
        var ids = new ArrayList<String>();
        var token = "";
        do {
            var page = RunningServer.json(server.send(Call.of("GET", "/v1/sessions?page_size=2" + token)));
            page.get("sessions").forEach(s -> ids.add(s.get("id").asText()));
            assertThat(page.get("sessions").size()).isBetween(0, 2);
            token = page.has("next_page_token") ? "&page_token=" + page.get("next_page_token").asText() : "";
        } while (!token.isEmpty());
        assertThat(ids).doesNotHaveDuplicates().hasSizeGreaterThanOrEqualTo(6);
        assertThat(ids).anyMatch(session::endsWith);
    }

    @Test
    void restoreContinuesWhereTheSnapshotWas() {
        step(GRADIENTS);
        var taken = RunningServer.json(server.send(Call.of("POST", session + "/snapshots")));
        step(GRADIENTS);
        var restored = RunningServer.json(server.send(
                Call.json("POST", session + "/restore", "{\"snapshot\": \"" + taken.get("id").asText() + "\"}")));
        assertThat(restored.get("step")).isEqualTo(taken.get("step"));
        assertThat(restored.get("digest")).isEqualTo(taken.get("digest"));
        assertThat(RunningServer.json(server.send(Call.of("GET", session + "/digest")))).isEqualTo(restored);
    }

    @Test
    void sessionsStepSideBySide() {
        var sessions = IntStream.range(0, 8).mapToObj(i -> server.session(
                "{\"optimizer\": {\"name\": \"adam\"}, \"tensors\": [{\"name\": \"w\", \"shape\": [1000]}]}")).toList();
        var body = Tensors.f32("w", new float[1000]);
        var runs = sessions.stream().map(s -> CompletableFuture.runAsync(() -> {
            for (int i = 1; i <= 50; i++) {
                assertThat(server.send(Call.tensors("POST", s + "/steps", body).header("Stepd-Step", "" + i)).statusCode()).isEqualTo(200);
            }
        })).toList();
        runs.forEach(CompletableFuture::join);
        assertThat(sessions).allSatisfy(s ->
                assertThat(RunningServer.json(server.send(Call.of("GET", s))).get("step").asInt()).isEqualTo(50));
    }

    @Test
    void metricsCountSteps() {
        double before = metric("stepd_steps_total");
        step(GRADIENTS);
        step(GRADIENTS);
        assertThat(metric("stepd_steps_total") - before).isEqualTo(2);
        assertThat(metric("stepd_bytes_received_total")).isGreaterThan(0);
        assertThat(metric("stepd_bytes_sent_total")).isGreaterThan(0);
        assertThat(metric("stepd_sessions")).isGreaterThan(0);
        assertThat(metric("stepd_step_seconds_count")).isGreaterThan(0);
    }

    private static double metric(String name) {
        return new String(server.send(Call.of("GET", "/prometheus")).body()).lines()
                .filter(line -> line.startsWith(name + " ") || line.startsWith(name + "{"))
                .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' '))))
                .sum();
    }

    private HttpResponse<byte[]> step(byte[] body) {
        return server.send(Call.tensors("POST", session + "/steps", body));
    }

    private static String header(HttpResponse<byte[]> answer, String name) {
        return answer.headers().firstValue(name).orElse("");
    }
}
