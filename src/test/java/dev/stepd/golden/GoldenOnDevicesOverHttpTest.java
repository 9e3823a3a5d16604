package dev.stepd.golden;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.stepd.device.cuda.shim.CudaShim;
import dev.stepd.server.RunningServer;
import dev.stepd.server.RunningServer.Call;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Isolated;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Recorded trajectories over HTTP: on every device, and on one after the other, they end with the same digest.
@Isolated
class GoldenOnDevicesOverHttpTest {
    private static final List<String> DEVICES = List.of("cpu", "cuda:0", "cuda:1");

    @TempDir
    static Path data;

    private static CudaShim shim;
    private static RunningServer server;

    @BeforeAll
    static void start() {
        assumeTrue(CudaShim.available());
        shim = CudaShim.load();
        shim.reset();
        shim.devices(2);
        server = RunningServer.start(data, Map.of("cuda", "auto", "cuda-cache", "target/cuda-modules"));
    }

    @AfterAll
    static void stop() {
        if (server != null) {
            server.close();
            assertThat(shim.balance()).isZero();
            shim.reset();
        }
    }

    /// Rules with sums over rows, tensors and the session, with other inputs, and formats.
    static Stream<GoldenFile> files() {
        return Stream.of("adamw", "lamb", "prodigy", "adahessian", "adamp", "adam8bit", "schedule_free_adamw")
                .map(name -> GoldenFile.of(List.of(name)).findFirst().orElseThrow());
    }

    private String create(GoldenFile file, String device) throws IOException {
        var session = server.session(new ObjectMapper().writeValueAsString(Map.of(
                "optimizer", file.description(), "device", device,
                "tensors", file.tensors().entrySet().stream()
                        .map(e -> Map.of("name", e.getKey(), "shape", e.getValue())).toList())));
        var parameters = new LinkedHashMap<String, float[]>();
        file.tensors().keySet().forEach(name -> parameters.put(name, file.get("param/" + name + "/0")));
        ok(Call.tensors("PUT", session + "/parameters", GoldenOverHttpTest.body(file, parameters)));
        if (!file.starts().isEmpty()) {
            ok(Call.tensors("PUT", session + "/state", GoldenOverHttpTest.body(file, file.starts())));
        }
        return session;
    }

    private static JsonNode ok(Call call) {
        var response = server.send(call);
        assertThat(response.statusCode()).as("%s %s: %s", call.method(), call.target(), new String(response.body())).isBetween(200, 201);
        return RunningServer.json(response);
    }

    private static byte[] step(GoldenFile file, String session, int t) {
        var answer = server.send(Call.tensors("POST", session + "/steps", GoldenOverHttpTest.gradients(file, t)).header("Stepd-Step", "" + t));
        assertThat(answer.statusCode()).isEqualTo(200);
        return answer.body();
    }

    private static JsonNode digest(String session) {
        return ok(Call.of("GET", session + "/digest"));
    }

    @ParameterizedTest
    @MethodSource("files")
    void endsWithTheSameDigestWhereverItLives(GoldenFile file) throws IOException {
        var random = new Random(file.toString().hashCode());
        var stays = create(file, "cpu");
        var onGpu = create(file, "cuda");
        var restored = create(file, "auto");
        var exported = create(file, "cuda:1");
        for (int t = 1; t <= file.steps(); t++) {
            var deltas = step(file, stays, t);
            for (var session : List.of(onGpu, restored, exported)) {
                assertThat(step(file, session, t)).isEqualTo(deltas);
            }
            if (random.nextInt(3) == 0) {
                moveBySnapshot(restored, DEVICES.get(random.nextInt(DEVICES.size())));
            }
            if (random.nextInt(3) == 0) {
                exported = moveByExport(file, exported, DEVICES.get(random.nextInt(DEVICES.size())));
            }
        }
        for (var session : List.of(onGpu, restored, exported)) {
            assertThat(digest(session)).isEqualTo(digest(stays));
        }
        for (var session : List.of(stays, onGpu, restored, exported)) {
            assertThat(server.send(Call.of("DELETE", session)).statusCode()).isEqualTo(204);
        }
    }

    private static void moveBySnapshot(String session, String device) {
        var id = ok(Call.of("POST", session + "/snapshots")).get("id").asText();
        ok(Call.json("POST", session + "/restore", "{\"snapshot\": \"" + id + "\", \"device\": \"" + device + "\"}"));
        assertThat(ok(Call.of("GET", session)).get("device").asText()).isEqualTo(device);
    }

    /// As a client does it that carries everything itself.
    private String moveByExport(GoldenFile file, String session, String device) throws IOException {
        var parameters = server.send(Call.of("GET", session + "/parameters")).body();
        var state = server.send(Call.of("GET", session + "/state")).body();
        var next = create(file, device);
        ok(Call.tensors("PUT", next + "/parameters", parameters));
        ok(Call.tensors("PUT", next + "/state", state));
        assertThat(digest(next)).isEqualTo(digest(session));
        assertThat(server.send(Call.of("DELETE", session)).statusCode()).isEqualTo(204);
        return next;
    }
}
