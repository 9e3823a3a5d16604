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
    BoundPlan bind(Plan plan, Domain domain, Map<Buffer, MemorySegment> arrays);

    /// How often a pass was compiled rather than found: equal before and after a step that is like an earlier one.
    long compilations();

    @Override
    void close();
}
