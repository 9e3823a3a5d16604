package dev.stepd.device.cuda.shim;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import jcuda.driver.CUdevice;
import jcuda.driver.JCudaDriver;
import org.junit.jupiter.api.Test;

/// A process that knows nothing of the shim runs on it by its environment alone, as a whole server does.
class ShimProcessTest {
    /// Says which devices there are.
    static final class Devices {
        public static void main(String[] args) {
            var count = new int[1];
            System.out.println("init " + JCudaDriver.cuInit(0));
            JCudaDriver.cuDeviceGetCount(count);
            for (int i = 0; i < count[0]; i++) {
                var device = new CUdevice();
                var name = new byte[64];
                JCudaDriver.cuDeviceGet(device, i);
                JCudaDriver.cuDeviceGetName(name, name.length, device);
                System.out.println(new String(name).replace("\0", ""));
            }
            System.out.println(System.getenv("STEPD_NVRTC"));
        }
    }

    @Test
    void findsTheShimByItsEnvironment() throws IOException, InterruptedException {
        assumeTrue(CudaShim.available(), "no CUDA shim");
        var shim = CudaShim.load();
        var java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        var builder = new ProcessBuilder(List.of(
                java, "--enable-native-access=ALL-UNNAMED", "-cp", System.getProperty("java.class.path"), Devices.class.getName()))
                .redirectErrorStream(true);
        builder.environment().putAll(shim.environment());
        builder.environment().put("STEPD_SHIM_DEVICES", "2");
        var process = builder.start();
        var said = new String(process.getInputStream().readAllBytes());
        assertThat(process.waitFor()).as(said).isZero();
        assertThat(said.lines()).containsExactly("init 0", "stepd shim 0", "stepd shim 1", shim.nvrtc().toString());
    }
}
