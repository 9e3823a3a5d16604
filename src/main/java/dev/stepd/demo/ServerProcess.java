package dev.stepd.demo;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.ProcessBuilder.Redirect;
import java.lang.management.ManagementFactory;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/// A server of its own: a child process run as this one is, with its data in a temporary folder. Nothing of it is left
/// when this object is closed, or this process ends.
final class ServerProcess implements AutoCloseable {
    private static final String READY = "stepd listening on ";
    private static final long START_SECONDS_MAX = 60;
    private static final int LOG_LINES_TOLD = 10;

    private final String mainClass;
    private final Path folder;
    private final Thread atExit = new Thread(this::vanish, "stepd-demo-end");
    private boolean ended;
    private volatile @Nullable Process process;
    private volatile @Nullable URI address;

    private ServerProcess(String mainClass, Path folder) {
        this.mainClass = mainClass;
        this.folder = folder;
        Runtime.getRuntime().addShutdownHook(atExit);
    }

    /// Runs `mainClass serve` and waits until it is ready.
    ///
    /// @throws IllegalStateException with the end of its log when it does not start
    static ServerProcess start(String mainClass) throws InterruptedException {
        var server = new ServerProcess(mainClass, temporaryFolder());
        try {
            server.restart();
            return server;
        } catch (RuntimeException | InterruptedException e) {
            server.close();
            throw e;
        }
    }

    /// Where it listens, or listened last.
    URI address() {
        return Objects.requireNonNull(address);
    }

    Path data() {
        return folder.resolve("data");
    }

    boolean isAlive() {
        return process != null && process.isAlive();
    }

    /// Ends it as a crash does, with SIGKILL: it gets to finish nothing.
    void kill() {
        if (process != null) {
            process.destroyForcibly().onExit().join();
        }
    }

    /// Starts it again on the data it left.
    void restart() throws InterruptedException {
        awaitReady(launch());
    }

    /// The end of what it logged.
    String log() {
        try (var lines = Files.lines(logFile())) {
            var all = lines.toList();
            return String.join("\n", all.subList(Math.max(0, all.size() - LOG_LINES_TOLD), all.size()));
        } catch (IOException e) {
            return "its log cannot be read: " + e.getMessage();
        }
    }

    @Override
    public void close() {
        vanish();
        try {
            Runtime.getRuntime().removeShutdownHook(atExit);
        } catch (IllegalStateException e) {
            // this process is ending, and the hook had nothing left to do
        }
    }

    /// Nothing starts once this process is ending, so nothing is left behind.
    private synchronized Process launch() {
        if (ended) {
            throw new IllegalStateException("the demo is ending");
        }
        try {
            var started = new ProcessBuilder(command())
                    .redirectError(Redirect.appendTo(logFile().toFile()))
                    .start();
            process = started;
            return started;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private synchronized void vanish() {
        if (ended) {
            return;
        }
        ended = true;
        kill(); // its data goes too, so there is nothing to end in order
        try (var files = Files.walk(folder)) {
            for (var file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(file);
            }
        } catch (IOException e) {
            System.err.println("stepd: " + folder + " is left behind: " + e.getMessage());
        }
    }

    private List<String> command() {
        var command = new ArrayList<String>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), mainClass));
        command.addAll(List.of("serve", "--port", "0", "--data", data().toString()));
        return command;
    }

    private void awaitReady(Process started) throws InterruptedException {
        var line = CompletableFuture.supplyAsync(() -> firstLine(started));
        try {
            var said = line.get(START_SECONDS_MAX, TimeUnit.SECONDS);
            if (!said.startsWith(READY)) {
                throw new IllegalStateException("the server did not start: " + said + "\n" + log());
            }
            address = URI.create(said.substring(READY.length()));
        } catch (TimeoutException e) {
            throw new IllegalStateException("the server is not ready after " + START_SECONDS_MAX + " s\n" + log(), e);
        } catch (ExecutionException e) {
            throw new IllegalStateException("the server did not start\n" + log(), e.getCause());
        }
    }

    private static String firstLine(Process process) {
        try {
            var line = process.inputReader().readLine();
            return line == null ? "" : line;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Path temporaryFolder() {
        try {
            return Files.createTempDirectory("stepd-demo-");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private Path logFile() {
        return folder.resolve("server.log");
    }
}
