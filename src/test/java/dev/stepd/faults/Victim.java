package dev.stepd.faults;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/// The program in processes of its own that are killed one after the other, each begun on what the one before left. Clients on other
/// threads ask for the address of the one that lives.
final class Victim implements AutoCloseable {
    private static final long PATIENCE_SECONDS = 120;
    private static final int SIGTERM_STATUS = 143;

    private final Path folder;
    private final List<String> flags;
    private final CountDownLatch over = new CountDownLatch(1);
    private Process process;
    private String address = "";
    private long kills;

    /// @param folder for logs, and for data unless the flags say otherwise
    Victim(Path folder, String... flags) {
        this.folder = folder;
        this.flags = List.of(flags);
    }

    /// Begins a process and waits until it serves.
    void start() throws Exception {
        launch();
        var line = process.inputReader().readLine();
        assertThat(line).as("the first line of %s", errors()).startsWith("stepd listening on http://127.0.0.1:");
        synchronized (this) {
            address = line.substring(line.indexOf("http"));
            notifyAll();
        }
    }

    /// Begins a process that is killed before or soon after it serves.
    void startAndKill(long afterMillis) throws Exception {
        launch();
        letLive(afterMillis);
        kill();
    }

    /// Gives it some time, in which it must not end by itself.
    void letLive(long millis) throws Exception {
        assertThat(process.waitFor(millis, TimeUnit.MILLISECONDS)).as("ended by itself: %s", errors()).isFalse();
    }

    /// SIGKILL.
    void kill() throws Exception {
        hide();
        kills++;
        process.destroyForcibly().waitFor();
    }

    /// SIGTERM, without waiting.
    void ask() {
        hide();
        process.destroy();
    }

    /// SIGTERM, and what it ended with.
    int end() throws Exception {
        ask();
        assertThat(process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)).as("ends").isTrue();
        return process.exitValue();
    }

    /// SIGTERM, and SIGKILL if it has not ended by then.
    void endOrKill(long millis) throws Exception {
        ask();
        kills++;
        if (!process.waitFor(millis, TimeUnit.MILLISECONDS)) {
            process.destroyForcibly().waitFor();
        }
    }

    /// SIGTERM twice. Ends with 0 if it was done before the second, else as a shell tells of SIGTERM.
    void endAtOnce() throws Exception {
        ask();
        kills++;
        process.destroy();
        assertThat(process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)).as("ends").isTrue();
        assertThat(process.exitValue()).isIn(0, SIGTERM_STATUS);
    }

    long kills() {
        return kills;
    }

    /// The address of the server that lives, which the caller waits for; empty when there will be none.
    synchronized String address() throws InterruptedException {
        while (address.isEmpty() && !isOver()) {
            wait();
        }
        return isOver() ? "" : address;
    }

    /// The address of the server that lives, though clients have stopped.
    synchronized String lastAddress() {
        return address;
    }

    /// Has clients stop.
    synchronized void finish() {
        over.countDown();
        notifyAll();
    }

    boolean isOver() {
        return over.getCount() == 0;
    }

    /// Some time for a client to pass that was told to come again.
    void pause() throws InterruptedException {
        assertThat(over.await(20, TimeUnit.MILLISECONDS)).isIn(true, false);
    }

    List<String> errors() throws IOException {
        var lines = new ArrayList<String>();
        try (var files = Files.list(folder)) {
            for (var file : files.filter(file -> file.getFileName().toString().startsWith("stderr")).sorted().toList()) {
                lines.addAll(Files.readAllLines(file).stream().filter(line -> !line.startsWith("WARNING:")).toList());
            }
        }
        return lines.subList(Math.max(0, lines.size() - 40), lines.size());
    }

    private synchronized void hide() {
        address = "";
    }

    /// Of the program as it is built, if `-Dstepd.faults.classpath` says so: then with the archive of classes that the first one to end in
    /// order leaves, which starts in half the time.
    private void launch() throws IOException {
        var built = System.getProperty("stepd.faults.classpath");
        var command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules=jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED", "-Xmx256m", "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1", "-Dlogback.configurationFile=logback.xml"));
        if (built != null) {
            var archive = Path.of("target", "faults.jsa").toAbsolutePath();
            command.addAll(List.of("-XX:+AutoCreateSharedArchive", "-XX:SharedArchiveFile=" + archive, "-Xlog:cds*=off"));
        }
        command.addAll(List.of("-cp", built != null ? built : System.getProperty("java.class.path"), "dev.stepd.server.Stepd", "serve",
                "--port", "0", "--cuda", "off"));
        if (!flags.contains("--data")) {
            command.addAll(List.of("--data", folder.resolve("data").toString()));
        }
        command.addAll(flags);
        process = new ProcessBuilder(command).redirectError(Files.createTempFile(folder, "stderr", "").toFile()).start();
    }

    @Override
    public void close() throws Exception {
        finish();
        if (process != null) {
            process.destroyForcibly().waitFor();
        }
    }
}
