package dev.stepd.store.journal;

import dev.stepd.tensor.Fingerprint;
import java.util.BitSet;

/// What a record says of its payload.
///
/// @param body what tells the request's body from another
/// @param present which tensors the payload has
/// @param given which other inputs the payload has
/// @param lr of an [Kind#ANSWER]: the learning rate that was answered; else 0
/// @param gradNorm of an [Kind#ANSWER]: the norm that was answered; else 0
public record Entry(Kind kind, long step, Fingerprint body, BitSet present, BitSet given, double lr, double gradNorm) {
    /// What the payload is.
    public enum Kind {
        /// What a step was made from: taken again, it makes the same step.
        STEP,
        /// What a step answered, kept where a snapshot has made what it was made from superfluous.
        ANSWER
    }

    /// What a step is made from.
    public static Entry step(long step, Fingerprint body, BitSet present, BitSet given) {
        return new Entry(Kind.STEP, step, body, present, given, 0, 0);
    }
}
