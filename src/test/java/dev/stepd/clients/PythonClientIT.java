package dev.stepd.clients;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.Writer;
import java.lang.ProcessBuilder.Redirect;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/// Runs the Python client's own tests against a server of this build, in its own process as users run it.
/// Without python3, numpy or pytest there is nothing to run: it is skipped and says why.
final class PythonClientIT {
    private static final Path CLIENT = Path.of("src/clients/python").toAbsolutePath();
    private static final String READY = "stepd listening on ";

    @TempDir
    Path data;

    @Test
    @Timeout(value = 5, unit = TimeUnit.MINUTES)
    void passesItsTests() throws Exception {
        var missing = missing();
        if (!missing.isEmpty()) {
            System.out.println("PythonClientIT skipped: " + missing);
            abort(missing);
        }
        var server = new ProcessBuilder(serve("--port", "0", "--data", data.toString()))
                .redirectError(Redirect.INHERIT)
                .start();
        try {
            var report = run(tests(addressOf(server.inputReader())));
            System.out.println(report.output());
            assertThat(report.exitCode()).as(report.output()).isZero();
            assertThat(report.output()).containsPattern("[0-9]+ passed");
        } finally {
            server.destroy();
            if (!server.waitFor(30, TimeUnit.SECONDS)) {
                server.destroyForcibly();
            }
        }
    }

    /// The tests, told of a server that runs and of a command to start others they may kill.
    private static ProcessBuilder tests(String address) throws IOException {
        var tests = new ProcessBuilder("python3", "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "tests")
                .directory(CLIENT.toFile())
                .redirectErrorStream(true);
        tests.environment().put("STEPD_URL", address);
        tests.environment().put("STEPD_COMMAND", new ObjectMapper().writeValueAsString(serve()));
        tests.environment().put("PYTHONPATH", CLIENT.toString());
        tests.environment().put("PYTHONDONTWRITEBYTECODE", "1");
        return tests;
    }

    private record Report(int exitCode, String output) {}

    /// What keeps the tests from running, or nothing.
    private static String missing() throws InterruptedException {
        try {
            var report = run(new ProcessBuilder("python3", "-c", "import numpy, pytest").redirectErrorStream(true));
            return report.exitCode() == 0 ? "" : "python3 has not what the tests need: " + report.output().strip();
        } catch (IOException e) {
            return "there is no python3: " + e.getMessage();
        }
    }

    private static Report run(ProcessBuilder command) throws IOException, InterruptedException {
        var process = command.start();
        try {
            var output = new String(process.getInputStream().readAllBytes());
            return new Report(process.waitFor(), output);
        } finally {
            process.destroyForcibly();
        }
    }

    private static List<String> serve(String... options) {
        var command = new ArrayList<String>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(ownFlags());
        var classes = System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
        command.addAll(List.of("-cp", classes, "dev.stepd.server.Stepd", "serve"));
        command.addAll(List.of(options));
        return command;
    }

    /// The flags this JVM was given to reach vectors and native memory: `stepd.jvm` of the build.
    private static List<String> ownFlags() {
        return ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
                .filter(argument -> argument.startsWith("--"))
                .toList();
    }

    /// Reads up to the line that says where the server listens; a thread reads on, so that logs never fill the pipe.
    private static String addressOf(BufferedReader output) throws IOException {
        for (var line = output.readLine(); line != null; line = output.readLine()) {
            if (line.startsWith(READY)) {
                Thread.ofVirtual().start(() -> drain(output));
                return line.substring(READY.length()).strip();
            }
        }
        throw new IllegalStateException("the server ended before it said \"" + READY + "\"");
    }

    private static void drain(BufferedReader output) {
        try {
            output.transferTo(Writer.nullWriter());
        } catch (IOException e) {
            // the server is gone, and so is the need to read on
        }
    }
}
