package dev.stepd.containers;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.store.jdbc.Postgres;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The entry point and the variables of the image and the compose file, run without an engine: as the image's user, with nothing
/// to write but the volume and `/tmp`.
class ContainersIT {
    private static final Pattern METRIC = Pattern.compile("\\b(?:stepd|jvm|process|system)_[a-z_0-9]+");

    private final HttpClient client = HttpClient.newHttpClient();

    @TempDir
    static Path folder;

    private static Container container;

    private Container.Running server;

    @BeforeAll
    static void layOut() throws Exception {
        container = Container.layOut(folder);
    }

    @AfterEach
    void end() {
        server.process().destroyForcibly();
    }

    @Test
    void keepsSessionsInItsVolume() throws Exception {
        start(Dockerfile.read().environment());
        session();
        assertThat(server.end(graceSeconds())).isZero();
        var owner = container.walled() ? Integer.valueOf(container.user()) : Files.getAttribute(container.program(), "unix:uid");
        try (var kept = Files.list(container.volume())) {
            assertThat(kept.toList()).isNotEmpty().allSatisfy(file -> assertThat(Files.getAttribute(file, "unix:uid")).isEqualTo(owner));
        }
    }

    @Test
    void servesEndsInTimeAndFindsItsSessionsAgain() throws Exception {
        var variables = composed();
        start(variables);
        assertThat(server.line()).startsWith("stepd listening on http://127.0.0.1:");
        assertThat(healthy()).isTrue();
        var session = session();
        assertThat(post("/v1/sessions/" + session + "/steps", "{\"gradients\": {\"w\": [1, -1, 0.5]}}").statusCode()).isEqualTo(200);
        runTheReadmesExample();
        answerProbesPrometheusAndTheDashboard();

        var digest = digest(session);
        assertThat(server.end(graceSeconds())).isZero();
        assertThat(healthy()).isFalse();

        start(variables);
        assertThat(digest(session)).isEqualTo(digest);
        assertThat(server.end(graceSeconds())).isZero();
    }

    /// With variables of the container, but this machine's network: loopback and any port. The runtime compiles as little as it
    /// can, for the sake of time.
    private void start(Map<String, String> variables) throws IOException {
        assertThat(variables).containsEntry("STEPD_HOST", "0.0.0.0").containsEntry("STEPD_ALLOW_REMOTE", "true");
        var here = new HashMap<>(variables);
        here.putAll(Map.of("STEPD_HOST", "127.0.0.1", "STEPD_PORT", "0", "STEPD_JVM", "-XX:TieredStopAtLevel=1"));
        server = container.start(Dockerfile.read().entryPoint(), here);
    }

    private void answerProbesPrometheusAndTheDashboard() throws Exception {
        var pod = Document.read("k8s/base/statefulset.yaml");
        var probes = pod.anywhere("httpGet").map(probe -> probe.at("path").text()).toList();
        assertThat(probes).hasSize(3).allSatisfy(path -> assertThat(get(path).statusCode()).isEqualTo(200));

        var path = Document.read("docker/prometheus.yaml").at("scrape_configs").entries().getFirst().at("metrics_path").text();
        assertThat(pod.anywhere("prometheus.io/path").map(Document::text)).containsExactly(path);
        var metrics = get(path);
        assertThat(metrics.headers().firstValue("Content-Type")).hasValueSatisfying(type -> assertThat(type).startsWith("text/plain"));
        var asked = Document.read("docker/grafana/dashboards/stepd.json").anywhere("expr")
                .flatMap(expression -> METRIC.matcher(expression.text()).results().map(MatchResult::group)).distinct().toList();
        assertThat(asked).hasSizeGreaterThan(10).allSatisfy(name -> assertThat(metrics.body()).containsPattern("(?m)^" + name + "[ {]"));
    }

    /// The example for a shell, where there is curl.
    private void runTheReadmesExample() throws Exception {
        if (!Container.run("curl", "--version")) {
            System.out.println("the README's example was not run: there is no curl");
            return;
        }
        var readme = Files.readString(Path.of("README.md"));
        int from = readme.indexOf("```sh\nid=") + "```sh\n".length();
        var example = readme.substring(from, readme.indexOf("```", from));
        assertThat(example).contains("localhost:8080/");
        var shell = new ProcessBuilder("sh", "-ec", example.replace("localhost:8080", URI.create(server.address()).getAuthority()))
                .redirectErrorStream(true).start();
        assertThat(new String(shell.getInputStream().readAllBytes())).startsWith("{\"step\":1,");
        assertThat(shell.waitFor()).isZero();
    }

    /// The image's variables and those of the compose file, with a database of this machine for the one it names.
    private static Map<String, String> composed() throws IOException {
        var variables = new HashMap<>(Dockerfile.read().environment());
        Document.read("docker/compose.yaml").at("services", "stepd", "environment").fields()
                .forEach((name, value) -> variables.put(name, String.valueOf(value).replaceAll("\\$\\{\\w+:-(\\w*)}", "$1")));
        assertThat(variables).containsEntry("STEPD_DB", "jdbc:postgresql://postgres:5432/stepd");
        variables.putAll(Map.of("STEPD_DB", Postgres.newDatabase(), "STEPD_DB_USER", Postgres.USER, "STEPD_DB_PASSWORD", Postgres.PASSWORD));
        return variables;
    }

    private static long graceSeconds() throws IOException {
        return Document.read("docker/compose.yaml").at("services", "stepd", "stop_grace_period").seconds();
    }

    private boolean healthy() throws Exception {
        var port = String.valueOf(URI.create(server.address()).getPort());
        return Container.run("env", "STEPD_PORT=" + port, container.program().resolve("healthy").toString());
    }

    private String session() throws Exception {
        var made = post("/v1/sessions", "{\"optimizer\": {\"name\": \"adamw\"}, \"tensors\": [{\"name\": \"w\", \"shape\": [3]}]}");
        assertThat(made.statusCode()).as(made.body()).isEqualTo(201);
        var id = Document.all(made.body()).getFirst().at("id").text();
        var request = request("/v1/sessions/" + id + "/parameters").PUT(BodyPublishers.ofString("{\"parameters\": {\"w\": [1, 2, 3]}}"));
        assertThat(client.send(request.build(), BodyHandlers.discarding()).statusCode()).isBetween(200, 204);
        return id;
    }

    private Document digest(String session) throws Exception {
        var answer = get("/v1/sessions/" + session + "/digest");
        assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
        return Document.all(answer.body()).getFirst();
    }

    private HttpResponse<String> get(String path) throws Exception {
        return client.send(request(path).build(), BodyHandlers.ofString());
    }

    private HttpResponse<String> post(String path, String body) throws Exception {
        return client.send(request(path).POST(BodyPublishers.ofString(body)).build(), BodyHandlers.ofString());
    }

    private HttpRequest.Builder request(String path) {
        return HttpRequest.newBuilder(URI.create(server.address() + path)).timeout(Duration.ofSeconds(30))
                .header("Content-Type", "application/json");
    }
}
