package dev.stepd.server;

import dev.stepd.engine.KernelBenchmark;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;

/// A process that listens, started as a user starts it, and ended with what it wrote.
public final class ServerProcess implements AutoCloseable {
    private static final String READY = "stepd listening on http://127.0.0.1:";

    private final Process process;
    private final int port;
    private final Path data;
    private final long readyNanos;

    private ServerProcess(List<String> command, Path data, String ready) throws IOException {
        this.data = data;
        long start = System.nanoTime();
        this.process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
        this.port = port(process.inputReader(), ready);
        this.readyNanos = System.nanoTime() - start;
    }

    /// `./stepd serve`, with its data in a folder that goes with it.
    ///
    /// @param flags further ones
    public static ServerProcess stepd(String... flags) throws IOException {
        var data = Files.createTempDirectory("stepd-bench");
        var launcher = Path.of(System.getProperty(KernelBenchmark.HOME), "stepd").toString();
        var command = new ArrayList<>(List.of(launcher, "serve", "--port", "0", "--data", data.toString()));
        command.addAll(List.of(flags));
        return new ServerProcess(command, data, READY);
    }

    /// [Echo] in a process of its own.
    static ServerProcess echo() throws IOException {
        var java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        var command = List.of(java, "-XX:+UseSerialGC", "-cp", System.getProperty("java.class.path"), Echo.class.getName());
        return new ServerProcess(command, Files.createTempDirectory("stepd-bench"), Echo.READY);
    }

    private int port(BufferedReader output, String ready) throws IOException {
        for (var line = output.readLine(); line != null; line = output.readLine()) {
            if (line.startsWith(ready)) {
                return Integer.parseInt(line.substring(ready.length()).trim());
            }
        }
        throw new IllegalStateException(process.info().commandLine().orElse("the server") + " ended before it was ready");
    }

    public long pid() {
        return process.pid();
    }

    int port() {
        return port;
    }

    /// From the start of the process to its line.
    public long readyNanos() {
        return readyNanos;
    }

    @Override
    public void close() {
        process.destroy();
        try {
            if (!process.waitFor(1, TimeUnit.MINUTES)) {
                process.destroyForcibly().waitFor();
            }
            try (var files = Files.walk(data)) {
                for (var file : files.sorted(Comparator.reverseOrder()).toList()) {
                    Files.delete(file);
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
