package dev.stepd.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.device.cuda.shim.CudaShim;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The first look at a machine, which happens once in a process: each test starts one.
class CudaStartTest {
    @TempDir
    private Path folder;

    /// What the other process runs.
    static final class Programme {
        public static void main(String[] arguments) {
            var usual = System.getProperty("java.io.tmpdir");
            System.out.println(CudaLibrary.find());
            System.out.println("again: " + CudaLibrary.find());
            System.out.println(usual.equals(System.getProperty("java.io.tmpdir")) ? "as before" : "another temporary folder");
        }
    }

    @Test
    void findsDevicesAndLeavesNothingBehind() throws Exception {
        var said = start(shim().environment(), temporary());
        assertThat(said.getFirst()).startsWith("Present[driver=13000, devices=[DeviceProperties[index=0, ");
        assertThat(said.get(1)).startsWith("again: Present[");
        assertThat(said.get(2)).isEqualTo("as before");
        try (var left = Files.list(temporary())) {
            assertThat(left.filter(path -> path.toString().contains("JCuda") || path.toString().contains("stepd-cuda"))).isEmpty();
        }
    }

    /// JCuda by itself would load whatever lies there by its library's name.
    @Test
    void takesNothingThatOthersPutIntoTheTemporaryFolder() throws Exception {
        Files.writeString(temporary().resolve("libJCudaDriver-12.6.0-linux-x86_64.so"), "somebody's");
        assertThat(start(shim().environment(), temporary()).getFirst()).startsWith("Present[");
    }

    @Test
    void namesATemporaryFolderThatCannotBeUsed() throws Exception {
        var none = folder.resolve("none");
        assertThat(start(shim().environment(), none).getFirst())
                .startsWith("Absent[reason=JCuda's native library did not load (java.nio.file.NoSuchFileException: " + none)
                .endsWith("; have -Djava.io.tmpdir name a folder that can be written and is not mounted noexec, instead of " + none
                        + "]");
    }

    @Test
    void aDriverThatDoesNotLoadIsNoDriver() throws Exception {
        Assumptions.assumeTrue(System.getProperty("os.name").equals("Linux"), "other systems are told before");
        Files.writeString(folder.resolve("libcuda.so.1"), "not a library");
        var said = start(Map.of("LD_LIBRARY_PATH", folder.toString()), temporary());
        assertThat(said.getFirst())
                .startsWith("Absent[reason=no NVIDIA driver: " + folder.resolve("libcuda.so.1") + ": file too short; install the")
                .endsWith("in a container run with --gpus all and the NVIDIA container toolkit]");
        assertThat(said.get(1)).isEqualTo("again: " + said.getFirst());
    }

    private static CudaShim shim() {
        Assumptions.assumeTrue(CudaShim.available(), "there is no CUDA shim");
        return CudaShim.load();
    }

    private Path temporary() throws IOException {
        return Files.createDirectories(folder.resolve("temporary"));
    }

    private List<String> start(Map<String, String> environment, Path temporary) throws IOException, InterruptedException {
        var log = folder.resolve("log").toFile();
        var builder = new ProcessBuilder(List.of(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "--enable-native-access=ALL-UNNAMED",
                        "-Djava.io.tmpdir=" + temporary,
                        "-cp",
                        System.getProperty("java.class.path"),
                        Programme.class.getName()))
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .redirectOutput(log);
        builder.environment().putAll(environment);
        var process = builder.start();
        assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).isZero();
        return Files.readAllLines(log.toPath());
    }
}
