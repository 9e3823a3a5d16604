package dev.stepd.server;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.stepd.golden.GoldenFile;
import dev.stepd.server.RunningServer.Call;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Wrappers, averages and presets as clients see them.
class CompositionOverHttpTest {
    private static final String TENSORS = "\"tensors\": [{\"name\": \"w\", \"shape\": [2]}]";

    @TempDir
    static Path data;

    private static RunningServer server;

    @BeforeAll
    static void start() {
        server = RunningServer.start(data.resolve("shared"), Map.of());
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    /// What can be asked for beside the parameters is what the authors' code evaluates with.
    @ParameterizedTest
    @CsvSource({"weight_ema, ema_fast, ema, average", "weight_ema, swa, swa, average", "bema, freq3, bema, bema",
            "schedule_free_sgd, warmup_wd, schedule_free, x", "asgd, averaging, asgd, ax"})
    void averagesAreTheAuthors(String optimizer, String config, String average, String state) throws Exception {
        var file = GoldenFile.of(List.of(optimizer)).filter(f -> f.config().equals(config)).findFirst().orElseThrow();
        var session = server.session(new ObjectMapper().writeValueAsString(Map.of("optimizer", file.description(),
                "tensors", file.tensors().entrySet().stream()
                        .map(e -> Map.of("name", e.getKey(), "shape", e.getValue())).toList())));
        server.send(Call.tensors("PUT", session + "/parameters", body(file, "param", 0)));
        for (int t = 1; t <= file.steps(); t++) {
            server.send(Call.tensors("POST", session + "/steps", body(file, "grad", t)));
        }
        var answer = server.send(Call.of("GET", session + "/parameters?average=" + average));
        assertThat(answer.statusCode()).isEqualTo(200);
        assertThat(answer.headers().firstValue("Stepd-Step")).contains("12");
        var mine = Tensors.values(answer.body());
        int at = 0;
        for (var tensor : file.tensors().keySet()) {
            for (float golden : file.get("state/" + state + "/" + tensor + "/12")) {
                assertThat(mine[at++]).isCloseTo(golden, org.assertj.core.data.Offset.offset(1e-5f));
            }
        }
    }

    private static byte[] body(GoldenFile file, String what, int t) {
        var body = Tensors.none();
        file.tensors().forEach((name, shape) -> body.with(
                name, shape.stream().mapToLong(Long::longValue).toArray(), file.get(what + "/" + name + "/" + t)));
        return body.body();
    }

    @Test
    void namesTheAveragesThereAre() {
        var session = server.session("{\"optimizer\": {\"name\": \"sgd\"}, \"average\": {\"name\": \"ema\"}, " + TENSORS + "}");
        assertThat(refused(server, 409, Call.of("GET", session + "/parameters?average=ema"))).contains("none were uploaded");
        assertThat(refused(server, 422, Call.of("GET", session + "/parameters?average=emma")))
                .contains("no average \"emma\"; did you mean \"ema\"?; known are [ema]");
        var plain = server.session("{\"optimizer\": {\"name\": \"sgd\"}, " + TENSORS + "}");
        assertThat(refused(server, 422, Call.of("GET", plain + "/parameters?average=ema"))).contains("keeps no averages");
    }

    private static String refused(RunningServer server, int status, Call call) {
        var answer = server.send(call);
        assertThat(answer.statusCode()).isEqualTo(status);
        return RunningServer.json(answer).get("detail").asText();
    }

    /// A session shows what its preset stands for; what it shows makes the same session; numbers of wrappers change under way.
    @Test
    void presetsAreShownAsWhatTheyStandFor() {
        var session = server.session("{\"optimizer\": {\"name\": \"lookahead\", \"inner\": \"sgd\", \"momentum\": 0.5}, "
                + "\"average\": {\"name\": \"swa\"}, \"clip\": {\"global_norm\": 1}, " + TENSORS + "}");
        var shown = RunningServer.json(server.send(Call.of("GET", session)));
        assertThat(shown.get("optimizer").get("name").asText()).isEqualTo("sgd");
        assertThat(shown.get("wrap").toString()).isEqualTo(
                "[{\"name\":\"lookahead\",\"k\":5.0,\"alpha\":0.8,\"pullback\":\"none\"}]");
        assertThat(shown.get("average").toString()).isEqualTo("{\"name\":\"swa\",\"update_after\":0.0,\"update_freq\":1.0}");
        assertThat(shown.get("clip").toString()).isEqualTo("{\"global_norm\":1.0,\"norm_type\":2.0}");
        var again = RunningServer.json(server.send(Call.of("GET", server.session(description(shown)))));
        for (var field : List.of("optimizer", "wrap", "average", "clip")) {
            assertThat(again.get(field)).isEqualTo(shown.get(field));
        }
        var patched = server.send(Call.json("PATCH", session, "{\"wrap\": [{\"name\": \"lookahead\", \"k\": 3}], "
                + "\"schedule\": {\"name\": \"linear\", \"hyperparameter\": \"lookahead.alpha\", \"total_steps\": 9}}"));
        assertThat(patched.statusCode()).isEqualTo(200);
        assertThat(RunningServer.json(patched).get("wrap").get(0).get("k").asDouble()).isEqualTo(3);
        assertThat(refused(server, 409, Call.json("PATCH", session, "{\"wrap\": [], \"schedule\": null}"))).contains("other state");
        assertThat(refused(server, 422, Call.json("PATCH", session, "{\"wrap\": [{\"name\": \"lookahead\", \"alpha\": 2}]}")))
                .contains("wrap[0].alpha is 2.0, expected a number from 0 to 1");
        var cautious = "{\"wrap\": [{\"name\": \"cautious\"}, {\"name\": \"lookahead\"}]}";
        assertThat(server.send(Call.json("PATCH", session, cautious)).statusCode()).isEqualTo(200);
    }

    private static String description(JsonNode shown) {
        var fields = new LinkedHashMap<String, Object>();
        for (var field : List.of("optimizer", "tensors", "wrap", "average", "clip", "state")) {
            fields.put(field, shown.get(field));
        }
        try {
            return new ObjectMapper().writeValueAsString(fields);
        } catch (com.fasterxml.jackson.core.JsonProcessingException e) {
            throw new IllegalStateException(e);
        }
    }

    /// A wrapped session restarts with all of its state and goes on as if nothing had been.
    @Test
    void wrappedSessionsSurviveRestarts(@TempDir Path folder) {
        var description = "{\"optimizer\": {\"name\": \"adam\"}, \"wrap\": [{\"name\": \"grokfast\"}, {\"name\": \"lookahead\", \"k\": 3}], "
                + "\"average\": {\"name\": \"bema\", \"update_freq\": 2}, " + TENSORS + "}";
        String interrupted;
        var expected = new ArrayList<float[]>();
        try (var server = RunningServer.start(folder, Map.of())) {
            interrupted = prepared(server, description);
            var whole = prepared(server, description);
            for (int t = 1; t <= 9; t++) {
                var delta = Tensors.values(step(server, whole, t));
                expected.add(delta);
                if (t <= 4) {
                    assertThat(Tensors.values(step(server, interrupted, t))).isEqualTo(delta);
                }
            }
        }
        try (var server = RunningServer.start(folder, Map.of())) {
            for (int t = 5; t <= 9; t++) {
                assertThat(Tensors.values(step(server, interrupted, t))).as("step %d", t).isEqualTo(expected.get(t - 1));
            }
        }
    }

    private static String prepared(RunningServer server, String description) {
        var session = server.session(description);
        server.send(Call.tensors("PUT", session + "/parameters", Tensors.f32("w", 0.5f, -2)));
        return session;
    }

    private static byte[] step(RunningServer server, String session, int t) {
        return server.send(Call.tensors("POST", session + "/steps", Tensors.f32("w", 0.25f * t, 1f / t))
                .header("Stepd-Step", "" + t)).body();
    }

    @Test
    void theCatalogueTellsPartsAndPresets() {
        var preset = RunningServer.json(server.send(Call.of("GET", "/v1/optimizers/lookahead")));
        assertThat(preset.get("kind").asText()).isEqualTo("preset");
        assertThat(preset.get("stands_for").get("optimizer").get("name").asText()).isEqualTo("adam");
        assertThat(preset.get("stands_for").get("wrap").get(0).get("name").asText()).isEqualTo("lookahead");
        assertThat(preset.get("slots")).extracting(slot -> slot.get("name").asText()).containsExactly("exp_avg", "exp_avg_sq", "slow");
        var wrapper = RunningServer.json(server.send(Call.of("GET", "/v1/optimizers/lookahead?kind=wrapper")));
        assertThat(wrapper.get("kind").asText()).isEqualTo("wrapper");
        assertThat(wrapper.get("slots")).extracting(slot -> slot.get("name").asText()).containsExactly("slow");
        assertThat(refused(server, 404, Call.of("GET", "/v1/optimizers/lookahed?kind=wrapper")))
                .contains("no wrapper lookahed; did you mean \"lookahead\"?; known are [lookahead, grokfast, cautious, schedule_free]");
    }
}
