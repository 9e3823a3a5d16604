package dev.stepd.device;

/// A plan tied to the arrays of one session. One thread at a time; owns its scratch memory.
public interface BoundPlan extends AutoCloseable {
    /// Makes everything ready that a run over `spans` needs and that may be refused: memory above all. A run does so itself; but a
    /// caller with several plans to run has none of them half done, if all are ready before the first runs.
    ///
    /// @throws dev.stepd.error.ServiceException `OUT_OF_MEMORY`
    void prepare(Spans spans);

    /// Runs every pass over the tensors of `spans` and returns when all is written: also, in the host's memory, what the plan
    /// writes of the body and of host arrays. With the same spans object as the last time nothing is allocated.
    ///
    /// @param body of this plan's device. It holds what came with the step: arrays of one value for each index of their scope, at
    ///     the places the plan was bound for, and at least 64 bytes after the last; deltas are written over gradients
    void run(Spans spans, Body body);

    @Override
    void close();
}
