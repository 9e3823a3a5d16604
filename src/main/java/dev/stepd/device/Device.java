package dev.stepd.device;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.stage.Plan;
import java.lang.foreign.MemorySegment;
import java.util.Map;

/// What holds slots and runs plans. Safe for concurrent use.
public interface Device extends AutoCloseable {
    /// `cpu`, `cuda:0`.
    String name();

    Memory memory();

    /// Compiles a plan, unless it has been before, and binds it to arrays. The caller keeps the arrays alive for as long as it
    /// uses what it gets, and binds every buffer of the plan but gradients and deltas.
    ///
    /// @param arrays one value for each index of the buffer's scope
    /// @param inBody where in a step's body the buffers lie that come with it, in bytes from its start; gradients and
    ///     deltas at 0 unless it says otherwise
    BoundPlan bind(Plan plan, Domain domain, Map<Buffer, MemorySegment> arrays, Map<Buffer, Long> inBody);

    /// Binds a plan that reads nothing of a step's body but the gradients.
    default BoundPlan bind(Plan plan, Domain domain, Map<Buffer, MemorySegment> arrays) {
        return bind(plan, domain, arrays, Map.of());
    }

    /// How often a pass was compiled rather than found: equal before and after a step that is like an earlier one.
    long compilations();

    @Override
    void close();
}
