package dev.stepd.device.cpu;

import dev.stepd.device.Spans;
import dev.stepd.expr.Buffer;
import java.lang.foreign.MemorySegment;
import java.util.Map;

/// A phase of a plan with its kernels, ready to be given arrays. Phases run one after the other and share their scratch memory.
interface BoundPhase {
    /// Bytes of scratch memory, of all workers.
    long roomBytes();

    /// Cuts the phase for a choice of tensors; returns the bytes of partial results it needs.
    long cut(Spans spans);

    /// @param arrays what the phase reads and writes, but for what comes with each step
    /// @param room at least [#roomBytes]
    /// @param partialResults at least what [#cut] said
    void bind(Map<Buffer, MemorySegment> arrays, MemorySegment room, MemorySegment partialResults);

    /// @param body address of what came with the step
    void run(Crew crew, long body);
}
