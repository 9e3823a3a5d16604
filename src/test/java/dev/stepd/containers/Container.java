package dev.stepd.containers;

import java.io.BufferedReader;
import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.spi.ToolProvider;

/// What the image holds, laid out in a folder, and a way to run it as an engine would: walled in where this machine lets a test
/// (`walls.sh`), else as whoever runs the test, with the folders of the container mapped to those of the layout.
///
/// @param program what is `/opt/stepd` in the container
/// @param volume what is `/var/lib/stepd`
/// @param user the number that `USER` names
/// @param walled whether there are walls
record Container(Path program, Path volume, String user, boolean walled) {
    private static final String PROGRAM = "/opt/stepd";
    private static final String VOLUME = "/var/lib/stepd";
    private static final Path WALLS = Path.of("src/test/resources/containers/walls.sh").toAbsolutePath();
    private static final Path JAVA = Path.of(System.getProperty("java.home"));

    /// A process and the line it began with.
    record Running(Process process, String line) {
        String address() {
            return line.substring(line.indexOf("http"));
        }

        /// Ends it as engines do, and gives its exit code.
        int end(long graceSeconds) throws InterruptedException {
            process.destroy();
            if (!process.waitFor(graceSeconds, TimeUnit.SECONDS)) {
                process.destroyForcibly();
                throw new IllegalStateException("still running after " + graceSeconds + " s");
            }
            return process.exitValue();
        }
    }

    /// Lays out what `./stepd bundle --server` does, from the classes under test. `BundleIT` holds the Java made for it; here it
    /// is the one that runs the test.
    static Container layOut(Path folder) throws Exception {
        var program = Files.createDirectories(folder.resolve("program"));
        var libraries = Files.createDirectories(program.resolve("target/lib"));
        var volume = Files.createDirectory(folder.resolve("volume"));
        Files.copy(Path.of("stepd"), program.resolve("stepd"), StandardCopyOption.COPY_ATTRIBUTES);
        Files.copy(Path.of("docker/healthy"), program.resolve("healthy"), StandardCopyOption.COPY_ATTRIBUTES);
        int packed = ToolProvider.findFirst("jar").orElseThrow().run(System.out, System.err,
                "--create", "--no-compress", "--file", program.resolve("target/stepd.jar").toString(), "-C", "target/classes", ".");
        if (packed != 0) {
            throw new IllegalStateException("target/classes cannot be packed");
        }
        for (var entry : System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")).split(":")) {
            if (entry.endsWith(".jar")) {
                Files.copy(Path.of(entry), libraries.resolve(Path.of(entry).getFileName()));
            }
        }
        var user = Dockerfile.read().only("USER").split(":")[0];
        boolean walled = run("unshare", "--mount", "true") && run("chown", user + ":" + user, volume.toString());
        if (walled) {
            Files.createDirectory(program.resolve("image"));
        } else {
            System.out.println("containers run without walls: this machine has no mount namespaces for whoever runs this");
            Files.createSymbolicLink(program.resolve("image"), JAVA);
            run("chmod", "-R", "a-w", program.toString());
        }
        return new Container(program, volume, user, walled);
    }

    /// Starts a command of the container with its variables alone, and waits for its first line.
    Running start(List<String> command, Map<String, String> environment) throws IOException {
        var process = builder(command, environment).redirectError(Redirect.INHERIT).start();
        var line = new BufferedReader(process.inputReader()).readLine();
        if (line == null) {
            throw new IllegalStateException("it ended and said nothing: " + command);
        }
        return new Running(process, line);
    }

    private ProcessBuilder builder(List<String> command, Map<String, String> environment) {
        var words = new ArrayList<String>();
        var variables = new HashMap<>(environment);
        if (walled) {
            words.addAll(List.of("unshare", "--mount", "--propagation", "private", "sh", WALLS.toString(), program.toString(),
                    JAVA.toString(), volume.toString(), user));
            words.addAll(command);
        } else {
            command.forEach(word -> words.add(word.replace(PROGRAM, program.toString())));
            variables.replaceAll((_, value) -> value.replace(VOLUME, volume.toString()));
        }
        var builder = new ProcessBuilder(words).directory(program.toFile());
        builder.environment().clear();
        builder.environment().put("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        builder.environment().putAll(variables);
        return builder;
    }

    /// Whether a command can be run and ends well.
    static boolean run(String... command) throws InterruptedException {
        try {
            return new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(Redirect.DISCARD).start().waitFor() == 0;
        } catch (IOException e) {
            return false;
        }
    }
}
