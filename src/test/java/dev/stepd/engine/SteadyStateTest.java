package dev.stepd.engine;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import dev.stepd.OwnJvm;
import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.engine.Training.Tensor;
import dev.stepd.rule.Catalogue;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.time.Duration;
import java.util.BitSet;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Once warm, a step allocates nothing on its thread: whole and partial ones, with groups, schedules, clipping and norms. It runs in a
/// JVM with the server's flags, which makes machine code of kernels at once.
class SteadyStateTest {
    @Test
    void stepsAllocateNothing(@TempDir Path folder) throws Exception {
        var flags = new ArrayList<>(OwnJvm.SERVER_FLAGS);
        flags.add("-Dstepd.optimizers=" + System.getProperty("stepd.optimizers", "sgd,adamw,radam,adan,nadam,sophia_g"));
        assertThat(OwnJvm.run(folder, Programme.class, flags)).endsWith("nothing allocated\n");
    }

    /// What the other JVM runs; `-Dstepd.optimizers=all` takes the whole catalogue.
    static final class Programme {
        private static final List<Tensor> TENSORS =
                List.of(Tensor.of("a", 30, 40), Tensor.of("a.bias", 40), Tensor.of("b", 7, 11), Tensor.of("b.bias", 3));
        private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        private static final Duration PATIENCE = Duration.ofSeconds(Integer.getInteger("stepd.patience", 30));

        public static void main(String[] arguments) {
            var asked = System.getProperty("stepd.optimizers");
            boolean clean = true;
            for (var optimizer : Training.optimizers().toList()) {
                var name = (String) optimizer.get("name");
                boolean wanted = asked.equals("all") || List.of(asked.split(",")).contains(name) && optimizer.size() > 1;
                if (wanted) {
                    clean &= settles(optimizer, Engine.Metrics.GRADIENT) & settles(optimizer, Engine.Metrics.NORMS);
                }
            }
            System.out.println(clean ? "nothing allocated" : "something allocated");
        }

        private static boolean settles(Map<String, Object> optimizer, Engine.Metrics metrics) {
            var plain = Training.blueprint(
                    TENSORS,
                    optimizer,
                    List.of(sharesRate(optimizer) ? Map.of("match", "*.bias") : Map.of("match", "*.bias", "lr", 0.01)),
                    Map.of("name", "cosine", "total_steps", 1000, "warmup_steps", 10),
                    Training.composition(optimizer).expanded().clip() == null ? Map.of("global_norm", 1.0) : null);
            var blueprint = new Engine.Blueprint(
                    plain.tensors(), plain.composition(), plain.groups(), plain.schedule(), plain.nonFinite(), metrics);
            try (var training = new Training(new CpuDevice(1L << 28, 2), TENSORS, blueprint)) {
                var whole = training.present(List.of("a", "a.bias", "b", "b.bias"));
                var partial = training.present(List.of("a", "b.bias"));
                long whenWhole = leastAllocated(training, whole);
                long whenPartial = leastAllocated(training, partial);
                if (whenWhole + whenPartial > 0) {
                    System.out.println(optimizer + " measuring " + metrics + " allocates " + whenWhole + " bytes in 100 steps, " + whenPartial
                            + " in 100 partial ones");
                }
                return whenWhole + whenPartial == 0;
            }
        }

        private static boolean sharesRate(Map<String, Object> optimizer) {
            var name = (String) Training.composition(optimizer).expanded().optimizer().get("name");
            return Catalogue.find(name).spec().shared().contains("lr");
        }

        /// Bytes in a hundred steps, when they are fewest.
        private static long leastAllocated(Training training, BitSet present) {
            long least = Long.MAX_VALUE;
            long end = System.nanoTime() + PATIENCE.toNanos();
            while (least > 0 && System.nanoTime() < end) {
                long before = THREADS.getCurrentThreadAllocatedBytes();
                for (int i = 0; i < 100; i++) {
                    fill(training);
                    training.stepper().step(training.body(), present, training.given());
                }
                least = Math.min(least, THREADS.getCurrentThreadAllocatedBytes() - before);
            }
            return least;
        }

        private static void fill(Training training) {
            for (long i = 0; i < 1320; i++) {
                training.body().setAtIndex(ValueLayout.JAVA_FLOAT, i, 0.01f * (i % 7 - 3));
            }
        }
    }
}
