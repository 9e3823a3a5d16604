package dev.stepd;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.device.cuda.shim.CudaShim;
import java.io.BufferedReader;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// What `./stepd bundle` makes runs where there is neither JDK nor Maven: nothing of this machine's Java is on the way.
class BundleIT {
    private static final long BYTES_MAX = 60_000_000;
    private static final Map<String, String> BARE = Map.of("PATH", "/usr/bin:/bin");

    @TempDir
    static Path folder;

    private static Path launcher;

    /// In a copy of the sources: the build that runs this test has its hands on the other.
    @BeforeAll
    static void makeAndUnpack() throws Exception {
        var reason = obstacle();
        reason.ifPresent(text -> System.out.println("no bundle: " + text));
        Assumptions.assumeTrue(reason.isEmpty());
        var copy = Files.createDirectories(folder.resolve("copy"));
        run(Path.of(""), System.getenv(), "cp", "-r", "stepd", "pom.xml", "LICENSE", "README.md", "src", "openapi", copy.toString());
        var made = run(copy, with(System.getenv(), Map.of("JAVA_HOME", System.getProperty("java.home"))), "./stepd", "bundle");
        assertThat(made).contains("stepd: target/stepd-bundle.tar.gz, ");
        var archive = copy.resolve("target/stepd-bundle.tar.gz");
        assertThat(Files.size(archive)).isLessThan(BYTES_MAX);
        run(folder, BARE, "tar", "xf", archive.toString());
        launcher = folder.resolve("stepd-bundle/stepd");
    }

    private static Optional<String> obstacle() throws IOException {
        if (!Files.exists(Path.of(System.getProperty("java.home"), "bin", "jlink"))) {
            return Optional.of("this Java has no jlink");
        }
        var path = List.of(System.getenv("PATH").split(":"));
        return path.stream().anyMatch(folder -> Files.isExecutable(Path.of(folder, "mvn")))
                ? Optional.empty()
                : Optional.of("mvn is not on PATH");
    }

    @Test
    void explains() throws Exception {
        assertThat(run(folder, BARE, launcher.toString(), "explain", "adamw", "--cuda")).contains("__global__");
    }

    @Test
    void serves() throws Exception {
        var command = List.of(launcher.toString(), "serve", "--port", "0", "--data", folder.resolve("data").toString());
        var process = start(folder, BARE, command).redirectError(folder.resolve("serve.log").toFile()).start();
        try {
            var line = new BufferedReader(process.inputReader()).readLine();
            assertThat(line).startsWith("stepd listening on ");
            var request = HttpRequest.newBuilder(URI.create(line.substring(line.indexOf("http")) + "/v1/optimizers")).build();
            try (var client = HttpClient.newHttpClient()) {
                assertThat(client.send(request, BodyHandlers.ofString()).body()).contains("\"adamw\"");
            }
        } finally {
            process.destroy();
            assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        }
        assertThat(process.exitValue()).isZero();
    }

    @Test
    void testsOnADevice() throws Exception {
        Assumptions.assumeTrue(CudaShim.available(), "there is no CUDA shim");
        var said = run(folder, with(BARE, CudaShim.load().environment()), launcher.toString(), "test", "--gpu", "CudaBalanceTest");
        assertThat(said).contains("CudaBalanceTest; 1 tests passed, 0 failed, 0 skipped");
    }

    @Test
    void measuresADevice() throws Exception {
        Assumptions.assumeTrue(CudaShim.available(), "there is no CUDA shim");
        var said = run(folder, with(BARE, CudaShim.load().environment()), launcher.toString(), "bench", "--gpu", "--quick");
        assertThat(said).contains("within the device", "ratio to the longer copy", "the most of these", "update of 5,000 parameters, ")
                .doesNotContain("failed");
        assertThat(folder.resolve("stepd-bundle/target/benchmarks-gpu.md")).content().contains("| AdamW f32, 40,000 parameters | ");
    }

    @Test
    void saysWhyThereIsNoDevice() throws Exception {
        var process = start(folder, with(BARE, Map.of("CUDA_VISIBLE_DEVICES", "-1")), List.of(launcher.toString(), "test", "--gpu"))
                .redirectErrorStream(true).start();
        assertThat(process.inputReader().lines().toList()).anyMatch(line -> line.startsWith("stepd: no GPU to test on: "));
        assertThat(process.waitFor()).isEqualTo(1);
    }

    private static Map<String, String> with(Map<String, String> environment, Map<String, String> more) {
        var all = new HashMap<>(environment);
        all.putAll(more);
        return all;
    }

    private static ProcessBuilder start(Path in, Map<String, String> environment, List<String> command) {
        var builder = new ProcessBuilder(new ArrayList<>(command)).directory(in.toAbsolutePath().toFile());
        builder.environment().clear();
        builder.environment().putAll(environment);
        return builder;
    }

    /// What a command says, when it ends well.
    private static String run(Path in, Map<String, String> environment, String... command) throws Exception {
        var process = start(in, environment, List.of(command)).redirectErrorStream(true).start();
        process.getOutputStream().close();
        var said = new String(process.getInputStream().readAllBytes());
        assertThat(process.waitFor()).as("%s%n%s", String.join(" ", command), said).isZero();
        return said;
    }
}
