package dev.stepd.containers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// What the files of `docker` and `k8s` name exists, and they agree with each other.
class ContainersTest {
    private static final Pattern PINNED = Pattern.compile("(docker\\.io|nvcr\\.io)/[a-z0-9/]+:v?\\d+\\.\\d+[.\\w-]*");
    private static final Path DOCKER = Path.of("docker");

    @Test
    void everyDocumentReads() throws IOException {
        try (var files = Stream.concat(Files.walk(DOCKER), Files.walk(Path.of("k8s")))) {
            var read = files.filter(file -> file.toString().matches(".*\\.(yaml|json)")).toList();
            assertThat(read).hasSizeGreaterThan(10);
            for (var file : read) {
                assertThat(Document.all(file)).as(file.toString()).isNotEmpty().noneMatch(Document::absent);
            }
        }
    }

    @Test
    void imagesOfOthersArePinned() throws IOException {
        var stages = new HashSet<String>();
        for (var from : Dockerfile.read().all("FROM")) {
            var image = from.words().getFirst();
            for (var device : List.of("cpu", "cuda")) {
                var chosen = image.replace("${DEVICE}", device);
                assertThat(stages.contains(chosen) || PINNED.matcher(chosen).matches()).as(image).isTrue();
            }
            stages.add(from.words().getLast());
        }
        var services = Document.read("docker/compose.yaml").at("services");
        for (var name : services.fields().keySet()) {
            var service = services.at(name);
            assertThat(service.at("image").text()).as(name).matches(service.at("build").absent() ? PINNED.pattern() : "stepd:\\d.*");
        }
    }

    @Test
    void whatTheImageIsMadeOfExistsAndReachesTheEngine() throws IOException {
        var sent = Files.readAllLines(Path.of("docker/Dockerfile.dockerignore"));
        for (var copy : Dockerfile.read().all("COPY")) {
            if (copy.text().startsWith("--from=")) {
                continue;
            }
            for (var source : copy.operands().subList(0, copy.operands().size() - 1)) {
                assertThat(Path.of(source)).exists();
                assertThat(sent).contains("!" + source);
            }
        }
        assertThat(Files.isExecutable(DOCKER.resolve("healthy"))).isTrue();
    }

    @Test
    void composeNamesWhatExists() throws IOException {
        var compose = Document.read("docker/compose.yaml");
        var services = compose.at("services").fields().keySet();
        for (var name : services) {
            var service = compose.at("services", name);
            for (var volume : service.at("volumes").texts()) {
                var source = volume.substring(0, volume.indexOf(':'));
                if (source.startsWith(".")) {
                    assertThat(DOCKER.resolve(source)).exists();
                } else {
                    assertThat(compose.at("volumes").fields()).containsKey(source);
                }
            }
            assertThat(compose.at("networks").fields().keySet()).containsAll(service.at("networks").texts());
            var needs = service.at("depends_on");
            assertThat(services).containsAll(needs.texts()).containsAll(needs.fields().keySet());
            // nothing authenticates, so nothing is published further
            assertThat(service.at("ports").texts()).allMatch(port -> port.matches("127\\.0\\.0\\.1:(\\d+):\\1"));
        }
        var build = compose.at("services", "stepd", "build");
        assertThat(DOCKER.resolve(build.at("context").text()).resolve(build.at("dockerfile").text())).exists();
        var other = Document.read("docker/compose.gpu.yaml").at("services");
        assertThat(services).containsAll(other.fields().keySet());
        assertThat(Dockerfile.read().only("ARG")).startsWith("DEVICE=");
        assertThat(other.at("stepd", "build", "args").fields()).containsOnlyKeys("DEVICE");
    }

    @Test
    void everyFileMeansTheSameServer() throws IOException {
        var image = Dockerfile.read();
        var compose = Document.read("docker/compose.yaml").at("services", "stepd");
        var pod = statefulSet().at("spec", "template", "spec");
        var container = pod.at("containers").entries().getFirst();
        var data = image.environment().get("STEPD_DATA");
        assertThat(image.only("VOLUME")).isEqualTo(data);
        assertThat(compose.at("volumes").texts()).containsExactly("stepd-data:" + data);
        assertThat(container.at("volumeMounts").entries()).extracting(mount -> mount.at("mountPath").text()).containsExactly(data, "/tmp");

        var port = image.only("EXPOSE");
        assertThat(compose.at("ports").texts()).allMatch(published -> published.endsWith(":" + port));
        assertThat(container.anywhere("containerPort")).extracting(Document::text).containsExactly(port);
        assertThat(Document.all(Path.of("k8s/base/service.yaml")).stream().flatMap(service -> service.anywhere("port")))
                .extracting(Document::text).containsOnly(port);

        var user = image.only("USER");
        assertThat(user).matches("[1-9]\\d+:[1-9]\\d+");
        var security = pod.at("securityContext");
        assertThat(security.at("runAsUser").text() + ":" + security.at("runAsGroup").text()).isEqualTo(user);
        assertThat(security.at("runAsNonRoot").value()).isEqualTo(true);
        assertThat(compose.at("read_only").value()).isEqualTo(true);
        assertThat(container.at("securityContext", "readOnlyRootFilesystem").value()).isEqualTo(true);
    }

    /// Orchestrators wait longer than the server takes: for what comes before SIGTERM, for running steps, and for storing
    /// sessions.
    @Test
    void theServerIsGivenTimeToEnd() throws IOException {
        var compose = Document.read("docker/compose.yaml").at("services", "stepd");
        long drain = compose.at("environment", "STEPD_DRAIN_TIMEOUT").seconds();
        long store = compose.at("environment", "STEPD_STORE_TIMEOUT").seconds();
        assertThat(compose.at("stop_grace_period").seconds()).isGreaterThan(drain + store);
        var pod = statefulSet().at("spec", "template", "spec");
        var stop = pod.anywhere("preStop").findFirst().orElseThrow().at("exec", "command").texts();
        assertThat(stop.getFirst()).isEqualTo("sleep");
        assertThat(Long.parseLong(pod.at("terminationGracePeriodSeconds").text()))
                .isGreaterThan(drain + store + Long.parseLong(stop.getLast()));
    }

    @Test
    void prometheusAndGrafanaFindTheirSources() throws IOException {
        var compose = Document.read("docker/compose.yaml");
        var targets = Document.read("docker/prometheus.yaml").anywhere("targets").flatMap(list -> list.texts().stream());
        var source = Document.read("docker/grafana/provisioning/datasources/prometheus.yaml").at("datasources").entries().getFirst();
        var reached = Stream.concat(targets, Stream.of(source.at("url").text().replace("http://", ""))).toList();
        assertThat(reached).hasSize(2).allSatisfy(address -> {
            var parts = address.split(":");
            assertThat(compose.at("services", parts[0], "ports").texts()).anyMatch(port -> port.endsWith(":" + parts[1]));
        });
        var grafana = compose.at("services", "grafana");
        var provider = Document.read("docker/grafana/provisioning/dashboards/stepd.yaml").at("providers").entries().getFirst();
        assertThat(grafana.at("volumes").texts()).contains("./grafana/dashboards:" + provider.at("options", "path").text() + ":ro");
        var home = Path.of(grafana.at("environment", "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH").text());
        assertThat(home.getParent()).hasToString(provider.at("options", "path").text());
        var board = Document.read("docker/grafana/dashboards/" + home.getFileName());
        assertThat(board.anywhere("datasource").map(use -> use.at("uid").text())).isNotEmpty().containsOnly(source.at("uid").text());
    }

    @Test
    void kustomizationsNameFilesThatExist() throws IOException {
        for (var folder : List.of("k8s/base", "k8s/overlays/cpu", "k8s/overlays/gpu")) {
            var kustomization = Document.read(folder + "/kustomization.yaml");
            var named = new ArrayList<>(kustomization.at("resources").texts());
            kustomization.at("patches").entries().forEach(patch -> named.add(patch.at("path").text()));
            assertThat(named).isNotEmpty().allSatisfy(path -> assertThat(Path.of(folder, path)).exists());
            if (folder.equals("k8s/base")) {
                try (var files = Files.list(Path.of(folder))) {
                    var others = files.map(file -> file.getFileName().toString()).collect(Collectors.toSet());
                    others.remove("kustomization.yaml");
                    assertThat(Set.copyOf(named)).isEqualTo(others);
                }
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"cpu", "gpu"})
    void overlayRenders(String overlay) throws Exception {
        var rendered = Document.all(kustomize("k8s/overlays/" + overlay));
        var tag = overlay.equals("gpu") ? "\\d\\S*-cuda" : "\\d\\S*(?<!-cuda)";
        assertThat(rendered).extracting(document -> document.at("kind").text())
                .contains("StatefulSet", "Service", "ConfigMap", "PodDisruptionBudget", "NetworkPolicy");
        var set = rendered.stream().filter(document -> document.at("kind").text().equals("StatefulSet")).findFirst().orElseThrow();
        var container = set.at("spec", "template", "spec", "containers").entries().getFirst();
        assertThat(container.at("image").text()).matches("stepd:" + tag);
        assertThat(container.at("resources", "limits").fields()).containsKeys("cpu", "memory");
        assertThat(container.at("resources", "limits").fields().containsKey("nvidia.com/gpu")).isEqualTo(overlay.equals("gpu"));
        var settings = rendered.stream().filter(document -> document.at("kind").text().equals("ConfigMap")).findFirst().orElseThrow();
        assertThat(container.at("envFrom").entries().getFirst().at("configMapRef", "name")).isEqualTo(settings.at("metadata", "name"));
        var labels = set.at("spec", "template", "metadata", "labels").fields().entrySet();
        rendered.stream().map(document -> document.at("spec"))
                .flatMap(spec -> Stream.of(spec.at("podSelector", "matchLabels"), spec.at("selector", "matchLabels")))
                .forEach(selector -> assertThat(labels).containsAll(selector.fields().entrySet()));
    }

    private static Document statefulSet() throws IOException {
        return Document.read("k8s/base/statefulset.yaml");
    }

    /// What a folder renders to, where there is a program for it.
    private static String kustomize(String folder) throws Exception {
        try {
            var process = new ProcessBuilder("kubectl", "kustomize", folder).redirectError(ProcessBuilder.Redirect.INHERIT).start();
            var rendered = new String(process.getInputStream().readAllBytes());
            assertThat(process.waitFor()).isZero();
            return rendered;
        } catch (IOException e) {
            System.out.println("overlays are not rendered: " + e.getMessage());
            return abort("there is no kubectl");
        }
    }
}
