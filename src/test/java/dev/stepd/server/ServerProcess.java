package dev.stepd.server;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/// A server in a process of its own, which can be stopped, continued and killed. Killed at the latest when this is closed.
final class ServerProcess implements AutoCloseable {
    private static final HttpClient CLIENT = HttpClient.newHttpClient();

    /// An answer to a request, problems included.
    record Answer(int status, JsonNode body) {}

    private final Process process;
    private final String address;
    private final Path log;

    private ServerProcess(Process process, String address, Path log) {
        this.process = process;
        this.address = address;
        this.log = log;
    }

    /// Starts a server and waits until it listens.
    static ServerProcess start(Path folder, Map<String, String> environment, String... flags) throws IOException {
        var command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules=jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                "-cp", System.getProperty("java.class.path"), Stepd.class.getName(), "serve", "--port", "0", "--cuda", "off"));
        command.addAll(List.of(flags));
        var log = Files.createTempFile(folder, "server", ".log");
        var builder = new ProcessBuilder(command).redirectError(log.toFile());
        builder.environment().putAll(environment);
        var process = builder.start();
        var line = new BufferedReader(process.inputReader()).readLine();
        if (line == null) {
            throw new IllegalStateException("no server: " + Files.readString(log));
        }
        return new ServerProcess(process, line.substring(line.indexOf("http")), log);
    }

    String address() {
        return address;
    }

    String log() throws IOException {
        return Files.readString(log);
    }

    void stop() throws Exception {
        signal("-STOP");
    }

    void goOn() throws Exception {
        signal("-CONT");
    }

    private void signal(String name) throws Exception {
        new ProcessBuilder("kill", name, Long.toString(process.pid())).start().waitFor();
    }

    /// Ends it as it is asked to, and tells its exit code.
    int end() throws InterruptedException {
        process.destroy();
        return process.waitFor(60, TimeUnit.SECONDS) ? process.exitValue() : -1;
    }

    void kill() throws InterruptedException {
        process.destroyForcibly().waitFor();
    }

    Answer send(String method, String target, String body) {
        var request = HttpRequest.newBuilder(URI.create(address + target)).timeout(Duration.ofSeconds(60))
                .header("Content-Type", "application/json").method(method, BodyPublishers.ofString(body)).build();
        try {
            var response = CLIENT.send(request, BodyHandlers.ofByteArray());
            return new Answer(response.statusCode(), new ObjectMapper().readTree(response.body()));
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    Answer get(String target) {
        return send("GET", target, "");
    }

    @Override
    public void close() throws InterruptedException {
        process.destroyForcibly().waitFor();
    }
}
