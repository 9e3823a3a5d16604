package dev.stepd.server;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.server.RunningServer.Call;
import io.micronaut.web.router.Router;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The running server keeps to `openapi/stepd.yaml`: every operation of the file is exercised, every answer is one the
/// file documents, and the server has no route the file does not name.
class OpenApiContractTest {
    private static final String SESSION = """
            {"name": "contract", "optimizer": {"name": "adamw", "lr": 0.001},
             "tensors": [{"name": "w", "shape": [2, 2]}, {"name": "b", "shape": [2]}],
             "groups": [{"match": "b", "weight_decay": 0.0}], "clip": {"global_norm": 1.0},
             "schedule": {"name": "cosine", "warmup_steps": 2, "total_steps": 10, "min_lr": 0.0}}""";
    private static final String GRADIENTS = "{\"gradients\": {\"w\": [[1, 2], [3, 4]], \"b\": [5, 6]}}";
    private static final byte[] TENSORS = Tensors.none()
            .with("w", new long[] {2, 2}, 1, 2, 3, 4).with("b", new long[] {2}, 5, 6).body();

    @TempDir
    static Path data;

    private static RunningServer server;
    private static Contract contract;

    @BeforeAll
    static void start() {
        server = RunningServer.start(data, Map.of());
        contract = Contract.read(Contract.file());
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    @Test
    void everyOperationAnswersAsDocumented() {
        var session = server.session(SESSION);
        var doomed = server.session(SESSION);
        server.send(Call.tensors("PUT", session + "/parameters", TENSORS));
        var state = server.send(Call.of("GET", session + "/state")).body();
        var taken = snapshot(session);
        var doomedSnapshot = snapshot(session);
        var statuses = new TreeMap<String, TreeSet<Integer>>();
        calls(session, doomed, state, taken, doomedSnapshot).forEach((operation, calls) -> {
            for (var call : calls) {
                var response = server.send(call);
                contract.check(operation, response);
                statuses.computeIfAbsent(operation, o -> new TreeSet<>()).add(response.statusCode());
            }
        });
        assertThat(statuses.keySet()).isEqualTo(contract.operations());
        var unseen = new HashMap<String, Object>();
        for (var operation : contract.operations()) {
            var missing = new TreeSet<>(contract.outcomes(operation));
            missing.removeAll(statuses.get(operation));
            if (!missing.isEmpty()) {
                unseen.put(operation, missing);
            }
        }
        assertThat(unseen).as("documented and never seen").isEmpty();
    }

    @Test
    void everyRouteIsDocumented() {
        var routes = server.bean(Router.class).uriRoutes()
                .filter(route -> !route.getHttpMethodName().equals("HEAD"))
                .flatMap(route -> paths(route.getUriMatchTemplate().toString()).stream().map(path -> route.getHttpMethodName() + " " + path))
                .collect(Collectors.toCollection(TreeSet::new));
        assertThat(routes).isEqualTo(contract.operations());
    }

    @Test
    void serverServesTheFile() {
        assertThat(new String(server.send(Call.of("GET", "/openapi/stepd.yaml")).body())).isEqualTo(Contract.file());
    }

    private static String snapshot(String session) {
        return session + "/snapshots/" + RunningServer.json(server.send(Call.of("POST", session + "/snapshots"))).get("id").asText();
    }

    /// The framework's own endpoints write a choice of paths as one template.
    private static List<String> paths(String template) {
        return template.equals("/health{/selector}") || template.equals("/health/{selector}")
                ? List.of("/health/liveness", "/health/readiness")
                : List.of(template.isEmpty() ? "/" : template);
    }

    private static Map<String, List<Call>> calls(String session, String doomed, byte[] state, String snapshot, String doomedSnapshot) {
        var calls = new TreeMap<String, List<Call>>();
        sessionCalls(calls, session, doomed);
        tensorCalls(calls, session, state);
        snapshotCalls(calls, session, snapshot, doomedSnapshot);
        serviceCalls(calls);
        absentCalls(calls, session);
        return calls;
    }

    private static void sessionCalls(Map<String, List<Call>> calls, String session, String doomed) {
        add(calls, "GET /v1/optimizers", Call.of("GET", "/v1/optimizers"), Call.of("GET", "/v1/optimizers?x=1"));
        add(calls, "GET /v1/optimizers/{name}", Call.of("GET", "/v1/optimizers/adamw"), Call.of("GET", "/v1/optimizers/adamv"));
        add(calls, "GET /v1/sessions", Call.of("GET", "/v1/sessions"), Call.of("GET", "/v1/sessions?page_size=1"),
                Call.of("GET", "/v1/sessions?page_size=0"));
        add(calls, "POST /v1/sessions", Call.json("POST", "/v1/sessions", SESSION), Call.json("POST", "/v1/sessions", "{}"),
                Call.json("POST", "/v1/sessions", "{"), Call.of("POST", "/v1/sessions").body("text/plain", new byte[1]),
                Call.json("POST", "/v1/sessions", "{\"a\": \"" + "a".repeat(17 << 20) + "\"}"),
                Call.json("POST", "/v1/sessions", SESSION.replace("[2, 2]", "[1000000, 10000000]")));
        add(calls, "GET /v1/sessions/{id}", Call.of("GET", session), Call.of("GET", "/v1/sessions/absent"));
        add(calls, "PATCH /v1/sessions/{id}", Call.json("PATCH", session, "{\"optimizer\": {\"lr\": 0.01}}"),
                Call.json("PATCH", session, "{\"tensors\": []}"), Call.json("PATCH", session, "[1"), Call.json("PATCH", "/v1/sessions/absent", "{}"));
        add(calls, "POST /v1/sessions/{id}/forks", Call.json("POST", session + "/forks", "{}"),
                Call.json("POST", session + "/forks", "{\"optimizer\": {\"name\": \"lion\"}, \"durability\": \"none\"}"),
                Call.json("POST", session + "/forks", "{\"optimizer\": {\"name\": \"lyon\"}}"), Call.json("POST", session + "/forks", "{"),
                Call.json("POST", session + "/forks", "{\"snapshot\": \"absent\"}"));
        add(calls, "DELETE /v1/sessions/{id}", Call.of("DELETE", doomed), Call.of("DELETE", doomed));
    }

    private static void tensorCalls(Map<String, List<Call>> calls, String session, byte[] state) {
        add(calls, "POST /v1/sessions/{id}/steps", Call.tensors("POST", session + "/steps", TENSORS).header("Stepd-Step", "1"),
                Call.tensors("POST", session + "/steps", TENSORS).header("Stepd-Step", "1"),
                Call.json("POST", session + "/steps", GRADIENTS),
                Call.json("POST", session + "/steps?return=parameters", GRADIENTS),
                Call.json("POST", session + "/steps?return=none", GRADIENTS),
                Call.json("POST", session + "/steps", GRADIENTS).header("Accept", RunningServer.SAFETENSORS),
                Call.tensors("POST", session + "/steps", TENSORS).header("Accept", RunningServer.JSON),
                Call.tensors("POST", session + "/steps?return=all", TENSORS),
                Call.tensors("POST", session + "/steps", TENSORS).header("Stepd-Step", "99"),
                Call.tensors("POST", session + "/steps", Tensors.f32("x", 1)),
                Call.tensors("POST", session + "/steps", new byte[] {1}),
                Call.of("POST", session + "/steps").body("text/plain", TENSORS),
                Call.tensors("POST", "/v1/sessions/absent/steps", TENSORS));
        add(calls, "GET /v1/sessions/{id}/parameters", Call.of("GET", session + "/parameters"),
                Call.of("GET", session + "/parameters").header("Accept", RunningServer.JSON),
                Call.of("GET", session + "/parameters?average=ema"), Call.of("GET", "/v1/sessions/absent/parameters"));
        add(calls, "PUT /v1/sessions/{id}/parameters", Call.tensors("PUT", session + "/parameters", TENSORS),
                Call.json("PUT", session + "/parameters", GRADIENTS.replace("gradients", "parameters")),
                Call.json("PUT", session + "/parameters", GRADIENTS), Call.tensors("PUT", session + "/parameters", new byte[9]));
        add(calls, "GET /v1/sessions/{id}/state", Call.of("GET", session + "/state"),
                Call.of("GET", session + "/state").header("Accept", RunningServer.JSON), Call.of("GET", session + "/state?x"));
        add(calls, "PUT /v1/sessions/{id}/state", Call.tensors("PUT", session + "/state", state),
                Call.tensors("PUT", session + "/state?format=f32", state),
                Call.json("PUT", session + "/state", "{}"), Call.tensors("PUT", session + "/state", Tensors.f32("w#none", 1)));
        add(calls, "GET /v1/sessions/{id}/digest", Call.of("GET", session + "/digest"), Call.of("GET", "/v1/sessions/absent/digest"));
    }

    private static void snapshotCalls(Map<String, List<Call>> calls, String session, String snapshot, String doomed) {
        var id = snapshot.substring(snapshot.lastIndexOf('/') + 1);
        add(calls, "POST /v1/sessions/{id}/snapshots", Call.of("POST", session + "/snapshots"),
                Call.json("POST", session + "/snapshots", "{\"pinned\": false}"), Call.json("POST", session + "/snapshots", "{\"pin\": 1}"),
                Call.of("POST", "/v1/sessions/absent/snapshots"));
        add(calls, "PATCH /v1/sessions/{id}/snapshots/{snapshot}", Call.json("PATCH", snapshot, "{\"pinned\": true}"),
                Call.json("PATCH", snapshot, "{}"), Call.json("PATCH", session + "/snapshots/absent", "{\"pinned\": true}"));
        add(calls, "GET /v1/sessions/{id}/snapshots", Call.of("GET", session + "/snapshots"), Call.of("GET", "/v1/sessions/absent/snapshots"));
        add(calls, "GET /v1/sessions/{id}/snapshots/{snapshot}", Call.of("GET", snapshot), Call.of("GET", session + "/snapshots/absent"));
        add(calls, "DELETE /v1/sessions/{id}/snapshots/{snapshot}", Call.of("DELETE", doomed), Call.of("DELETE", "/v1/sessions/absent/snapshots/1"));
        add(calls, "GET /v1/sessions/{id}/snapshots/{snapshot}/data", Call.of("GET", snapshot + "/data"),
                Call.of("GET", snapshot + "/data").header("Accept", RunningServer.JSON), Call.of("GET", session + "/snapshots/absent/data"));
        add(calls, "POST /v1/sessions/{id}/restore", Call.json("POST", session + "/restore", "{\"snapshot\": \"" + id + "\"}"),
                Call.json("POST", session + "/restore", "{\"snapshot\": \"absent\"}"), Call.json("POST", session + "/restore", "{}"));
    }

    private static void serviceCalls(Map<String, List<Call>> calls) {
        for (var path : List.of("/health", "/health/liveness", "/health/readiness", "/prometheus", "/openapi/stepd.yaml", "/")) {
            add(calls, "GET " + path, Call.of("GET", path));
        }
    }

    private static void absentCalls(Map<String, List<Call>> calls, String session) {
        add(calls, "GET /v1/sessions/{id}/events", Call.of("GET", session + "/events"));
        add(calls, "POST /v1/studies", Call.json("POST", "/v1/studies", "{}"));
        add(calls, "GET /v1/studies/{id}", Call.of("GET", "/v1/studies/1"));
        add(calls, "GET /v1/studies/{id}/trials", Call.of("GET", "/v1/studies/1/trials"));
        add(calls, "GET /v1/studies/{id}/best", Call.of("GET", "/v1/studies/1/best"));
        for (var path : List.of("/suggestions", "/trials", "/trials/{number}/measurements", "/trials/{number}/completion")) {
            add(calls, "POST /v1/studies/{id}" + path, Call.json("POST", "/v1/studies/1" + path.replace("{number}", "1"), "{}"));
        }
    }

    private static void add(Map<String, List<Call>> calls, String operation, Call... more) {
        calls.computeIfAbsent(operation, o -> new ArrayList<>()).addAll(List.of(more));
    }
}
