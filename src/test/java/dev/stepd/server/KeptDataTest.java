package dev.stepd.server;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.stepd.server.RunningServer.Call;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Data folders that earlier versions left: `kept/NAME` has the file as it was written then, and what that version went on to
/// answer. Opening one restores its sessions, and they step on as they would have.
class KeptDataTest {
    private static final Path KEPT = Path.of("src/test/resources/kept");

    @TempDir
    Path folder;

    @ParameterizedTest
    @ValueSource(strings = {"v1", "v2"})
    void opensRestoresAndStepsAsBefore(String version) throws Exception {
        Files.copy(KEPT.resolve(version).resolve("stepd.mv.db"), folder.resolve("stepd.mv.db"));
        var expected = new ObjectMapper().readTree(KEPT.resolve(version).resolve("expected.json").toFile());
        try (var server = RunningServer.start(folder, Map.of())) {
            for (var session : expected.get("sessions")) {
                goOn(server, session, expected.get("gradients"));
            }
        }
        try (var server = RunningServer.start(folder, Map.of())) { // what was written since is read again
            for (var session : expected.get("sessions")) {
                var path = "/v1/sessions/" + session.get("id").asText();
                assertThat(get(server, path + "/digest").get("digest")).isEqualTo(session.at("/requested_snapshot/digest"));
            }
        }
    }

    private static void goOn(RunningServer server, JsonNode session, JsonNode gradients) throws IOException {
        var path = "/v1/sessions/" + session.get("id").asText();
        var now = get(server, path);
        assertThat(now.get("status").asText()).isEqualTo("ready");
        assertThat(now.get("step")).isEqualTo(session.get("step"));
        assertThat(get(server, path + "/digest").get("digest")).isEqualTo(session.get("digest"));

        var step = RunningServer.json(server.send(Call.json("POST", path + "/steps", "{\"gradients\": " + gradients + "}")));
        assertThat(step.get("deltas")).isEqualTo(session.at("/step_6/deltas"));
        assertThat(get(server, path + "/digest").get("digest")).isEqualTo(session.at("/step_6/digest"));

        var snapshot = session.get("requested_snapshot");
        var restored = RunningServer.json(server.send(Call.json(
                "POST", path + "/restore", "{\"snapshot\": " + snapshot.get("id") + "}")));
        assertThat(restored.get("step")).isEqualTo(snapshot.get("step"));
        assertThat(restored.get("digest")).isEqualTo(snapshot.get("digest"));
    }

    private static JsonNode get(RunningServer server, String path) {
        return RunningServer.json(server.send(Call.of("GET", path)));
    }
}
