package dev.stepd;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/// Runs a program of a test in a JVM of its own: what others have run before decides what the JIT makes of shared code.
public final class OwnJvm {
    /// The server's: machine code of kernels is made at once.
    public static final List<String> SERVER_FLAGS = List.of(
            "-XX:Tier3DelayOn=1000000",
            "-XX:CompileCommand=quiet",
            "-XX:CompileCommand=CompileThresholdScaling,dev.stepd.codegen.cpu.GeneratedKernel*::run,0.001",
            "-XX:CompileCommand=BackgroundCompilation,dev.stepd.codegen.cpu.GeneratedKernel*::run,false");

    private static final long PATIENCE_SECONDS = 300;

    private OwnJvm() {}

    /// Runs `main` of a class to its end, which must be a good one.
    ///
    /// @param folder for what it writes
    /// @return that
    public static String run(Path folder, Class<?> program, List<String> flags) throws Exception {
        var log = folder.resolve("log");
        var command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules=jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow"));
        command.addAll(flags);
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), program.getName()));
        var process = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start();
        try {
            assertThat(process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)).isTrue();
        } finally {
            process.destroyForcibly();
        }
        var written = Files.readString(log);
        assertThat(process.exitValue()).as(written).isZero();
        return written;
    }
}
