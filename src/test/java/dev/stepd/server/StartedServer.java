package dev.stepd.server;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
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
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/// The program in a process of its own, with the environment it is given.
final class StartedServer implements AutoCloseable {
    private static final HttpClient CLIENT = HttpClient.newHttpClient();

    private final Process process;
    private final Path stderr;
    private final String address;

    private StartedServer(Process process, Path stderr) throws IOException {
        this.process = process;
        this.stderr = stderr;
        var line = new BufferedReader(process.inputReader()).readLine();
        assertThat(line).as("%s", Files.readString(stderr)).startsWith("stepd listening on http://127.0.0.1:");
        address = line.substring(line.indexOf("http"));
    }

    /// @param folder of its data and its log
    /// @param flags of `serve` besides
    static StartedServer start(Path folder, Map<String, String> environment, String... flags) throws IOException {
        var arguments = new ArrayList<>(List.of("serve", "--port", "0", "--data", folder.resolve("data").toString()));
        arguments.addAll(List.of(flags));
        var stderr = Files.createTempFile(folder, "stderr", "");
        return new StartedServer(launch(stderr, environment, arguments), stderr);
    }

    /// Runs the program with its own settings for logs, not the tests'.
    static Process launch(Path stderr, Map<String, String> environment, List<String> arguments) throws IOException {
        var command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules=jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED", "-Xmx256m", "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1", "-Dlogback.configurationFile=logback.xml", "-cp", System.getProperty("java.class.path"),
                Stepd.class.getName()));
        command.addAll(arguments);
        var builder = new ProcessBuilder(command).redirectError(stderr.toFile());
        builder.environment().putAll(environment);
        return builder.start();
    }

    HttpResponse<String> send(String method, String target, String body) throws Exception {
        return CLIENT.send(HttpRequest.newBuilder(URI.create(address + target)).timeout(Duration.ofSeconds(60))
                .header("Content-Type", "application/json").method(method, BodyPublishers.ofString(body)).build(), BodyHandlers.ofString());
    }

    /// The JSON of an answer that is no problem.
    JsonNode json(String method, String target, String body) throws Exception {
        var response = send(method, target, body);
        assertThat(response.statusCode()).as(response.body()).isBetween(200, 201);
        return new ObjectMapper().readTree(response.body());
    }

    JsonNode get(String target) throws Exception {
        return json("GET", target, "");
    }

    /// What it wrote to its log so far.
    List<String> log() throws IOException {
        return Files.readAllLines(stderr).stream().filter(line -> !line.startsWith("WARNING:")).toList();
    }

    /// Ends it as an operator does.
    @Override
    public void close() throws InterruptedException {
        process.destroy(); // SIGTERM
        assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).isZero();
    }
}
