package dev.stepd.device;

import java.lang.foreign.MemorySegment;

/// A plan tied to the arrays of one session. One thread at a time; owns its scratch memory.
public interface BoundPlan extends AutoCloseable {
    /// Runs every pass over the tensors of `spans` and returns when all is written. With the same spans object as
    /// the last time nothing is allocated.
    ///
    /// @param body what came with the step: arrays of one value for each index of their scope, at the places the plan was
    ///     bound for, and at least 64 bytes after the last; deltas are written over gradients
    void run(Spans spans, MemorySegment body);

    @Override
    void close();
}
