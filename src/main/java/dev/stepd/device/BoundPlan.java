package dev.stepd.device;

import java.lang.foreign.MemorySegment;

/// A plan tied to the arrays of one session. One thread at a time; owns its scratch memory.
public interface BoundPlan extends AutoCloseable {
    /// Runs every pass over the tensors of `spans` and returns when all is written. With the same spans object as
    /// the last time nothing is allocated.
    ///
    /// @param body what came with the step: `domain.count(ELEMENT)` values in the domain's order, read as the gradients and
    ///     written as the deltas, then whatever else was bound to lie in it, and at least 64 bytes more
    void run(Spans spans, MemorySegment body);

    @Override
    void close();
}
