package dev.stepd.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import dev.stepd.device.cuda.shim.CudaShim;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// A server whose GPUs go and come back between its runs.
class CudaProcessTest {
    private static final String SESSION = """
            {"optimizer": {"name": "adamw", "lr": 0.1}, "device": "%s", "tensors": [{"name": "w", "shape": [3]}]}""";
    private static final String STEP = "{\"gradients\": {\"w\": [1, -1, 0.5]}}";

    @TempDir
    Path folder;

    private StartedServer withGpus() throws Exception {
        var environment = new HashMap<>(CudaShim.load().environment());
        environment.put("STEPD_SHIM_DEVICES", "2");
        return StartedServer.start(folder, environment, "--cuda-memory", "64MB", "--pinned-memory", "64MB",
                "--cuda-cache", Path.of("target/cuda-modules").toAbsolutePath().toString());
    }

    /// Where nothing is found, whatever this machine has.
    private StartedServer without() throws Exception {
        return StartedServer.start(folder, Map.of("CUDA_VISIBLE_DEVICES", "", "STEPD_NVRTC", folder.toString()));
    }

    private static String trained(StartedServer server, String device) throws Exception {
        var session = "/v1/sessions/" + server.json("POST", "/v1/sessions", SESSION.formatted(device)).get("id").asText();
        server.json("PUT", session + "/parameters", "{\"parameters\": {\"w\": [1, 2, 3]}}");
        for (int i = 0; i < 3; i++) {
            server.json("POST", session + "/steps", STEP);
        }
        return session;
    }

    @Test
    void sessionsFollowAutoAndWaitForTheDeviceTheyName() throws Exception {
        assumeTrue(CudaShim.available());
        String auto;
        String named;
        JsonNode digest;
        try (var server = withGpus()) {
            assertThat(server.log()).anyMatch(line -> line.contains("cuda:0 is stepd shim 0"))
                    .anyMatch(line -> line.contains("cuda:1 is stepd shim 1, compute capability 9.0, 64 MiB for sessions"));
            auto = trained(server, "auto");
            named = trained(server, "cuda:1");
            assertThat(server.get(auto).get("device").asText()).isEqualTo("cuda:0");
            digest = server.get(auto + "/digest");
            assertThat(server.get(named + "/digest")).isEqualTo(digest);
        }
        String snapshot;
        try (var server = without()) {
            var why = server.log().stream().filter(line -> line.contains("sessions live on the processor: ")).toList();
            assertThat(why).as("said once").hasSize(1);
            assertThat(server.get("/health/readiness").at("/details/devices/details").size()).isEqualTo(1);
            assertThat(server.get(auto).get("device").asText()).isEqualTo("cpu");
            assertThat(server.get(auto + "/digest")).isEqualTo(digest);
            assertThat(server.get(named).get("status").asText()).startsWith("failed: device is cuda:1, this server has [cpu]: ")
                    .endsWith("; start stepd where the device is, or name another with the restore");
            assertThat(server.send("POST", named + "/steps", STEP).statusCode()).isEqualTo(409);
            var reason = why.getFirst().substring(why.getFirst().indexOf("processor: ") + "processor: ".length());
            assertThat(server.send("POST", "/v1/sessions", SESSION.formatted("cuda")).body())
                    .contains("device is cuda, this server has [cpu]: " + reason);
            snapshot = server.get(named + "/snapshots").get("snapshots").get(0).get("id").asText();
            server.json("POST", auto + "/steps", STEP);
            digest = server.get(auto + "/digest");
        }
        try (var server = withGpus()) {
            assertThat(server.get(auto).get("device").asText()).startsWith("cuda:");
            assertThat(server.get(auto + "/digest")).isEqualTo(digest);
            assertThat(server.get(named).get("device").asText()).isEqualTo("cuda:1");
            server.json("POST", named + "/steps", STEP);
            assertThat(server.get(named + "/digest")).isEqualTo(digest);
            server.json("POST", named + "/restore", "{\"snapshot\": \"" + snapshot + "\", \"device\": \"cpu\"}");
            assertThat(server.get(named).get("device").asText()).isEqualTo("cpu");
            assertThat(server.get(named).get("step").asInt()).isLessThanOrEqualTo(3);
        }
    }
}
