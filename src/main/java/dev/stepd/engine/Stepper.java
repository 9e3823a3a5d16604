package dev.stepd.engine;

import dev.stepd.tensor.Part;
import java.lang.foreign.MemorySegment;
import java.util.BitSet;
import java.util.List;

/// The optimizer of one session bound to a device: its parameters, slots, counters, and the step over them.
///
/// Not thread-safe: the session is the single writer. Owns its region, which [#close] gives back zeroed.
/// After the first step at a given program nothing is compiled or allocated.
public final class Stepper implements AutoCloseable {
    /// What came of a step.
    public enum Outcome {
        /// Parameters, slots and counters moved; the gradients' memory now holds the deltas.
        APPLIED,
        /// The gradient was not finite and the session skips such steps: the step counts, nothing else moved, deltas are zero.
        SKIPPED,
        /// The gradient was not finite and the session rejects such steps: nothing changed, the gradients stand as they were.
        REJECTED
    }

    /// Where each tensor lies in the flat arrays, and in which order.
    public Layout layout() {
        throw new IllegalStateException("to be built");
    }

    /// Finished steps of the session, skipped ones included.
    public long step() {
        throw new IllegalStateException("to be built");
    }

    /// Finished steps of each tensor, by the index the session declared it under. A tensor left out of a partial step stays behind.
    public List<Long> tensorSteps() {
        throw new IllegalStateException("to be built");
    }

    /// Continues at `step`, as a restore or an import does.
    public void resumeAt(long step, List<Long> tensorSteps) {
        throw new IllegalStateException("to be built");
    }

    /// Whether the rule reads parameter values, so that they must be uploaded before the first step.
    public boolean needsParameters() {
        throw new IllegalStateException("to be built");
    }

    /// Whether the parameters hold uploaded values. Without them a step still yields deltas where the rule allows.
    public boolean hasParameters() {
        throw new IllegalStateException("to be built");
    }

    /// Declares that [#parameters] has been filled.
    public void parametersLoaded() {
        throw new IllegalStateException("to be built");
    }

    /// The parameter of each tensor in layout order; end to end they are one flat array.
    public List<Part> parameters() {
        throw new IllegalStateException("to be built");
    }

    /// Every slot of every tensor, in layout order and then the rule's slot order. Writable: an import fills them.
    public List<Part> slots() {
        throw new IllegalStateException("to be built");
    }

    /// Bytes of device memory held.
    public long stateBytes() {
        throw new IllegalStateException("to be built");
    }

    /// Takes one step.
    ///
    /// @param gradients f32, `layout().elementCount()` elements in layout order with 64 bytes of slack; holds the deltas afterwards
    /// @param present the tensors that have a gradient, by declared index; the others stay untouched and their deltas are zero
    public Outcome step(MemorySegment gradients, BitSet present) {
        throw new IllegalStateException("to be built");
    }

    /// The learning rate of the last step, of the first group.
    public double lastLr() {
        throw new IllegalStateException("to be built");
    }

    /// The L2 norm of the last gradient over all present tensors, before clipping.
    public double lastGradNorm() {
        throw new IllegalStateException("to be built");
    }

    /// After [Outcome#REJECTED]: the declared index of the first tensor whose gradient is not finite.
    public int nonFiniteTensor() {
        throw new IllegalStateException("to be built");
    }

    @Override
    public void close() {
        throw new IllegalStateException("to be built");
    }
}
