package dev.stepd.server;

import static dev.stepd.server.RunningServer.json;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import dev.stepd.device.cuda.shim.CudaShim;
import dev.stepd.server.RunningServer.Call;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Isolated;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// A server with two GPUs, as its clients see it.
@Isolated
class CudaOverHttpTest {
    private static final int LAUNCH_FAILED = 719;
    private static final String SESSION = """
            {"optimizer": {"name": "adamw", "lr": 0.1}, "device": "%s", "tensors": [{"name": "w", "shape": [%d]}]}""";
    private static final byte[] FEW = Tensors.f32("w", 1, -2, 3, 0.5f);

    @TempDir
    Path folder;

    private static CudaShim shim;

    private RunningServer server;

    @BeforeAll
    static void load() {
        assumeTrue(CudaShim.available());
        shim = CudaShim.load();
    }

    @BeforeEach
    void start() {
        shim.reset();
        shim.devices(2);
        server = start(Map.of());
    }

    private RunningServer start(Map<String, String> more) {
        var settings = new HashMap<>(Map.of("cuda", "auto", "cuda-memory", "16MB", "pinned-memory", "64MB",
                "cuda-cache", "target/cuda-modules", "memory", "256MB"));
        settings.putAll(more);
        return RunningServer.start(folder, settings);
    }

    @AfterEach
    void stop() {
        server.close();
        assertThat(shim.balance()).as("what the server left in the driver").isZero();
        shim.reset();
    }

    private JsonNode ok(Call call) {
        var response = server.send(call);
        assertThat(response.statusCode()).as("%s %s: %s", call.method(), call.target(), new String(response.body())).isBetween(200, 201);
        return json(response);
    }

    private HttpResponse<byte[]> step(String session, int number) {
        return server.send(Call.tensors("POST", session + "/steps", FEW).header("Stepd-Step", "" + number));
    }

    private String create(String device, long elements) {
        return server.session(SESSION.formatted(device, elements));
    }

    private String trained(String device) {
        var session = create(device, 4);
        ok(Call.tensors("PUT", session + "/parameters", FEW));
        assertThat(step(session, 1).statusCode()).isEqualTo(200);
        return session;
    }

    private JsonNode problem(HttpResponse<byte[]> response, int status, String slug) {
        assertThat(response.statusCode()).as(new String(response.body())).isEqualTo(status);
        assertThat(json(response).get("type").asText()).endsWith("/" + slug);
        return json(response);
    }

    private String metric(String name) {
        var text = new String(server.send(Call.of("GET", "/prometheus")).body());
        return text.lines().filter(line -> line.startsWith(name + " ")).findFirst().orElseThrow().substring(name.length() + 1);
    }

    private String used(String device) {
        return metric("stepd_device_memory_bytes{device=\"" + device + "\",kind=\"used\"}");
    }

    @ParameterizedTest
    @CsvSource({"auto,cuda:0", "cpu,cpu", "cuda,cuda:0", "cuda:1,cuda:1"})
    void sessionLivesOnTheDeviceItNames(String asked, String lives) {
        var session = create(asked, 4);
        assertThat(ok(Call.of("GET", session)).get("device").asText()).isEqualTo(lives);
        ok(Call.tensors("PUT", session + "/parameters", FEW));
        assertThat(step(session, 1).statusCode()).isEqualTo(200);
        assertThat(used(lives)).isNotEqualTo("0.0");
        var snapshot = ok(Call.of("POST", session + "/snapshots"));
        var digest = ok(Call.of("GET", session + "/digest"));
        assertThat(snapshot.get("digest")).isEqualTo(digest.get("digest"));
        var state = server.send(Call.of("GET", session + "/state"));
        assertThat(Tensors.values(state.body())).hasSize(8);
        var second = step(session, 2).body();
        assertThat(step(session, 2).headers().firstValue("Stepd-Replayed")).hasValue("true");
        assertThat(ok(Call.json("POST", session + "/restore", "{\"snapshot\": \"" + snapshot.get("id").asText() + "\"}"))).isEqualTo(digest);
        assertThat(step(session, 2).body()).isEqualTo(second);
        assertThat(server.send(Call.of("DELETE", session)).statusCode()).isEqualTo(204);
        assertThat(used("cpu")).isEqualTo("0.0");
        assertThat(used("cuda:0")).isEqualTo("0.0");
        assertThat(used("cuda:1")).isEqualTo("0.0");
    }

    @Test
    void deviceThatIsNotThereIsRefused() {
        var absent = problem(server.send(Call.json("POST", "/v1/sessions", SESSION.formatted("cuda:7", 4))), 422, "device-unavailable");
        assertThat(absent.get("detail").asText()).isEqualTo("device is cuda:7, this server has [cpu, cuda:0, cuda:1]");
        var none = problem(server.send(Call.json("POST", "/v1/sessions", SESSION.formatted("gpu", 4))), 422, "invalid-value");
        assertThat(none.get("detail").asText()).startsWith("device is gpu, expected auto, cpu, cuda or cuda:<number>");
    }

    @Test
    void everyDeviceGivesTheSameDigest() {
        var near = trained("cpu");
        for (var device : new String[] {"cuda:0", "cuda:1"}) {
            var session = trained(device);
            assertThat(step(session, 2).statusCode()).isEqualTo(200);
            if (device.equals("cuda:0")) {
                assertThat(step(near, 2).statusCode()).isEqualTo(200);
            }
            assertThat(ok(Call.of("GET", session + "/digest"))).isEqualTo(ok(Call.of("GET", near + "/digest")));
        }
    }

    @Test
    void whatFitsNoGpuIsRefusedWithNumbersAndLeavesNothing() {
        server.send(Call.of("DELETE", trained("cuda:0")));
        long before = shim.balance();
        var refused = problem(server.send(Call.json("POST", "/v1/sessions", SESSION.formatted("cuda:0", 4_000_000))), 507, "out-of-memory");
        assertThat(refused.get("bytes_needed").asLong()).isBetween(16_000_000L, 64_000_000L);
        assertThat(refused.get("bytes_free").asLong()).isBetween(0L, 16L << 20);
        assertThat(refused.get("detail").asText()).contains("bytes of memory on cuda:0");
        assertThat(shim.balance()).isEqualTo(before);
        assertThat(used("cuda:0")).isEqualTo("0.0");
        assertThat(ok(Call.of("GET", create("auto", 4_000_000))).get("device").asText()).as("auto goes on to the processor").isEqualTo("cpu");
    }

    @Test
    void autoGoesOnToTheNextDeviceWhereThereIsNoRoomForBodiesEither() {
        server.close();
        server = start(Map.of("cuda-memory", "128MB", "pinned-memory", "8MB"));
        var refused = problem(server.send(Call.json("POST", "/v1/sessions", SESSION.formatted("cuda:1", 2_000_000))), 507, "out-of-memory");
        assertThat(refused.get("detail").asText()).contains("pinned memory for cuda:1");
        assertThat(used("cuda:1")).isEqualTo("0.0");
        assertThat(ok(Call.of("GET", create("auto", 2_000_000))).get("device").asText()).isEqualTo("cpu");
    }

    @Test
    void lostDeviceShowsInReadinessAndItsSessionsMoveOn() {
        var near = trained("cpu");
        var other = trained("cuda:0");
        var session = trained("cuda:1");
        var snapshot = ok(Call.of("POST", session + "/snapshots"));
        assertThat(ok(Call.of("GET", "/health/readiness")).at("/details/devices/details/cuda:1/status").asText()).isEqualTo("UP");
        shim.failOnce("cuLaunchKernel", 1, LAUNCH_FAILED);

        var met = problem(step(session, 2), 409, "conflict");
        assertThat(met.get("detail").asText()).contains("cuda:1 is lost until stepd restarts: cuLaunchKernel failed")
                .contains("restore one of its snapshots on another device, such as cpu");
        assertThat(met.get("retryable").asBoolean()).isFalse();
        problem(step(session, 2), 409, "conflict");
        assertThat(ok(Call.of("GET", session)).get("status").asText()).startsWith("failed: cuda:1 is lost until stepd restarts");
        assertThat(step(other, 2).body()).isEqualTo(step(near, 2).body());

        var readiness = server.send(Call.of("GET", "/health/readiness"));
        assertThat(readiness.statusCode()).isEqualTo(503);
        assertThat(json(readiness).at("/details/devices/details/cuda:1/status").asText()).isEqualTo("DOWN");
        assertThat(json(readiness).at("/details/devices/details/cuda:1/reason").asText()).contains("CUDA_ERROR_LAUNCH_FAILED (719)");
        assertThat(json(readiness).at("/details/devices/details/cuda:0/status").asText()).isEqualTo("UP");
        assertThat(server.send(Call.of("GET", "/health/liveness")).statusCode()).isEqualTo(200);
        assertThat(metric("stepd_device_healthy{device=\"cuda:1\"}")).isEqualTo("0.0");
        assertThat(metric("stepd_device_healthy{device=\"cuda:0\"}")).isEqualTo("1.0");

        var target = "{\"snapshot\": \"" + snapshot.get("id").asText() + "\"%s}";
        problem(server.send(Call.json("POST", session + "/restore", target.formatted(""))), 422, "device-unavailable");
        var restored = ok(Call.json("POST", session + "/restore", target.formatted(", \"device\": \"cpu\"")));
        assertThat(restored.get("digest")).isEqualTo(snapshot.get("digest"));
        assertThat(step(session, 2).body()).isEqualTo(step(near, 2).body());
        assertThat(ok(Call.of("GET", session)).get("status").asText()).isEqualTo("ready");
    }

    @ParameterizedTest
    @ValueSource(strings = {"off", "OFF", "false"})
    void withCudaOffThereAreNoGpus(String off) {
        server.close();
        server = start(Map.of("cuda", off));
        assertThat(ok(Call.of("GET", create("auto", 4))).get("device").asText()).isEqualTo("cpu");
        var refused = problem(server.send(Call.json("POST", "/v1/sessions", SESSION.formatted("cuda", 4))), 422, "device-unavailable");
        assertThat(refused.get("detail").asText())
                .isEqualTo("device is cuda, this server has [cpu]: stepd was started with --cuda off; start it with --cuda auto");
    }
}
