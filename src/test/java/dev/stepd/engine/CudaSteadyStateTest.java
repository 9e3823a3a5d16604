package dev.stepd.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.sun.management.ThreadMXBean;
import dev.stepd.OwnJvm;
import dev.stepd.device.cuda.CudaDevice;
import dev.stepd.device.cuda.ShimDevices;
import dev.stepd.device.cuda.shim.CudaShim;
import dev.stepd.engine.Training.Tensor;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Steps on the CUDA device allocate nothing in the long run, in a JVM of its own: what others have run before decides what the JIT
/// makes of shared code.
class CudaSteadyStateTest {
    @Test
    void stepsAllocateNothing(@TempDir Path folder) throws Exception {
        assumeTrue(CudaShim.available(), "there is no shim");
        assertThat(OwnJvm.run(folder, Programme.class, List.of())).endsWith("nothing allocated\n");
    }

    /// What the other JVM runs.
    static final class Programme {
        private static final List<Tensor> TENSORS = List.of(Tensor.of("a", 300, 40), Tensor.of("a.bias", 40), Tensor.of("b", 7, 11));
        private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        private static final Duration PATIENCE = Duration.ofSeconds(90);

        public static void main(String[] arguments) {
            boolean clean = isClean("all at once", ShimDevices.open().getFirst())
                    & isClean("in pieces", ShimDevices.openInPieces().getFirst());
            System.out.println(clean ? "nothing allocated" : "something allocated");
        }

        private static boolean isClean(String how, CudaDevice device) {
            var blueprint = Training.blueprint(TENSORS, Map.of("name", "adamw"), List.of(), null, null);
            try (var training = new Training(device, TENSORS, blueprint)) {
                long least = leastAllocated(training);
                if (least > 0) {
                    System.out.println(how + ": " + least + " bytes in 20 steps");
                }
                return least == 0;
            }
        }

        private static long leastAllocated(Training training) {
            var present = training.present(TENSORS.stream().map(Tensor::name).toList());
            long least = Long.MAX_VALUE;
            long end = System.nanoTime() + PATIENCE.toNanos();
            while (least > 0 && System.nanoTime() < end) {
                long before = THREADS.getCurrentThreadAllocatedBytes();
                for (int i = 0; i < 20; i++) {
                    training.stepper().step(training.body(), present, training.given());
                }
                least = Math.min(least, THREADS.getCurrentThreadAllocatedBytes() - before);
            }
            return least;
        }
    }
}
