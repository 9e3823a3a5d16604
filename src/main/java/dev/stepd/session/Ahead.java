package dev.stepd.session;

import dev.stepd.engine.Stepper;
import dev.stepd.tensor.DType;
import java.lang.foreign.MemorySegment;

/// Tells a session's device how much of a body is here, so that it fetches that while the rest arrives. Does so for bodies whose tensors
/// come in the order they lie in; of others, as far as they do.
final class Ahead {
    /// What is worth a transfer of its own.
    private static final long STRIDE_BYTES = 1 << 20;

    private final Stepper stepper;
    private final MemorySegment memory;
    /// Bytes of an element as it comes.
    private final int elementBytes;
    /// How far into the memory the body comes in order.
    private final long ordered;
    private long told;

    Ahead(Stepper stepper, MemorySegment memory, Expected.Match match) {
        this.stepper = stepper;
        this.memory = memory;
        var entries = match.header().entries();
        this.elementBytes = entries.isEmpty() ? Float.BYTES : entries.getFirst().dtype().bytes();
        long end = 0;
        for (int i = 0; i < entries.size(); i++) {
            var entry = entries.get(i);
            if (entry.dtype().bytes() != elementBytes || match.places().get(i).offset() != widened(entry.begin())) {
                break;
            }
            end = widened(entry.end());
        }
        this.ordered = end;
    }

    private long widened(long bytes) {
        return bytes / elementBytes * DType.F32.bytes();
    }

    /// @param dataBytes of the body that arrived, headers not counted
    void received(long dataBytes) {
        long here = Math.min(ordered, widened(dataBytes));
        if (here - told >= STRIDE_BYTES) {
            stepper.arrived(memory, here);
            told = here;
        }
    }

    /// The memory goes to others.
    void end() {
        if (told > 0) {
            stepper.abandon(memory);
        }
    }
}
