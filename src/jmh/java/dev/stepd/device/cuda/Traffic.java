package dev.stepd.device.cuda;

import dev.stepd.codegen.cuda.CudaProgram;
import dev.stepd.codegen.cuda.CudaProgram.Kernel;
import dev.stepd.device.Domain;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.stage.Plan;
import dev.stepd.expr.stage.Stage;
import java.util.LinkedHashSet;
import java.util.Set;

/// What a plan's kernels have to move: each array that a kernel reads once, each that it writes once, but for what its stages leave to
/// one another in registers.
final class Traffic {
    private Traffic() {}

    static long bytes(Plan plan, Domain domain) {
        return CudaProgram.of(plan).kernels().stream().mapToLong(kernel -> bytes(kernel, domain)).sum();
    }

    private static long bytes(Kernel kernel, Domain domain) {
        Set<Buffer> read = new LinkedHashSet<>();
        Set<Buffer> written = new LinkedHashSet<>();
        for (var stage : kernel.stages()) {
            stage.reads().stream().filter(buffer -> !isLocal(kernel, buffer)).forEach(read::add);
            stage.outputs().stream().map(Stage.Output::target).filter(buffer -> !isLocal(kernel, buffer)).forEach(written::add);
        }
        return sum(read, domain) + sum(written, domain);
    }

    private static boolean isLocal(Kernel kernel, Buffer buffer) {
        return buffer.kind() == Buffer.Kind.EXTENT || kernel instanceof Kernel.Tiles tiles && tiles.tiling().locals().contains(buffer);
    }

    private static long sum(Set<Buffer> buffers, Domain domain) {
        return buffers.stream().mapToLong(domain::bytes).sum();
    }
}
