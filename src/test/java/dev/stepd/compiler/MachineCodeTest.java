package dev.stepd.compiler;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.OwnJvm;
import dev.stepd.expr.Type;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The JVM interprets a kernel at first and makes machine code of it after thousands of calls; most tests end before. A
/// JVM with the server's flags compiles at once, and the bits are the same.
class MachineCodeTest {
    /// Steps after which every kernel has long been compiled.
    private static final int STEPS = 60;

    @Test
    void givesTheSameBits(@TempDir Path folder) throws Exception {
        assertThat(OwnJvm.run(folder, Programme.class, OwnJvm.SERVER_FLAGS)).endsWith("agree\n");
    }

    /// What the other JVM runs.
    static final class Programme {
        public static void main(String[] arguments) {
            try (var agreement = new Agreement()) {
                for (long seed = 1; seed <= Integer.getInteger("stepd.programs", 2); seed++) {
                    var random = new SplittableRandom(seed);
                    var programs = new Programs(random, Type.F32, 16);
                    var program = programs.nextRepeatable(3, 2);
                    var extents = World.tensors(random, false, 300, 67, 19);
                    var buffers = new ArrayList<>(programs.buffers());
                    program.assignments().forEach(a -> buffers.add(a.target()));
                    var world = World.random(random, extents, buffers, World.Values.SPECIAL);
                    agreement.check("seed " + seed, program, world, STEPS);
                }
            }
            System.out.println("agree");
        }
    }
}
