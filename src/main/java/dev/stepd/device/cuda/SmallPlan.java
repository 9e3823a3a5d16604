package dev.stepd.device.cuda;

import dev.stepd.codegen.cuda.CudaProgram;
import dev.stepd.codegen.cuda.CudaProgram.Pointer;
import dev.stepd.device.Domain;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.Scope;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Optional;

/// All kernels of a plan in one launch of one block of threads, which reads and writes what is in pinned memory there: no copies.
/// For few elements that takes less time than to launch kernels and copies one by one, and leaves the rest of the device to other
/// sessions.
final class SmallPlan {
    private final CudaFunction function;
    private final Arguments arguments;
    private final int pointers;

    private SmallPlan(CudaFunction function, int pointers, long argumentBytes) {
        this.function = function;
        this.pointers = pointers;
        this.arguments = new Arguments(argumentBytes);
    }

    /// Nothing for plans over too much, or with too many kernels for the arguments of one.
    ///
    /// @param elementsMax of what is small
    static Optional<SmallPlan> of(
            CudaProgram program, CudaModule module, Domain domain, List<KernelLaunch> launches, long elementsMax) {
        long bytes = 8L * program.pointers().size() + launches.stream().mapToLong(KernelLaunch::workBytes).sum();
        boolean fits = domain.count(Scope.ELEMENT) <= elementsMax && bytes <= Arguments.BYTES_MAX;
        return fits ? Optional.of(new SmallPlan(module.function("all"), program.pointers().size(), bytes)) : Optional.empty();
    }

    /// Takes over what the kernels' own arguments are.
    void fill(CudaProgram program, PlanArrays arrays, List<KernelLaunch> launches) {
        long at = 8L * pointers;
        for (var launch : launches) {
            at = launch.copyWorks(arguments.segment(), at);
        }
        for (int member = 0; member < pointers; member++) {
            if (program.pointers().get(member) instanceof Pointer.Array(Buffer buffer) && arrays.isInHost(buffer)) {
                point(member, arrays.hostAddress(buffer));
            } else if (arrays.isKnown(program.pointers().get(member))) {
                point(member, arrays.address(program.pointers().get(member)));
            }
        }
    }

    void point(int member, long address) {
        arguments.segment().set(ValueLayout.JAVA_LONG, 8L * member, address);
    }

    void launch(CudaStream stream) {
        stream.launch(function, 1, CudaProgram.THREADS, 0, arguments);
    }
}
