package dev.stepd.session;

import java.util.OptionalLong;

/// What becomes of a step's body, by its number. The whole of the exactly-once protocol.
enum StepDecision {
    /// It is the next step.
    APPLY,
    /// It is the last step again: the same answer again.
    REPLAY,
    /// It has the number of the last step and is another body.
    BODY_DIFFERS,
    /// It is neither.
    MISMATCH;

    /// @param number the number the step shall have; without one it is the next
    /// @param current the number of the last step taken, 0 before the first
    /// @param answered whether the answer of step `current` is still there
    /// @param same whether the body is the one step `current` was made from
    static StepDecision of(OptionalLong number, long current, boolean answered, boolean same) {
        if (number.isEmpty() || number.getAsLong() == current + 1) {
            return APPLY;
        }
        if (number.getAsLong() != current || !answered) {
            return MISMATCH;
        }
        return same ? REPLAY : BODY_DIFFERS;
    }
}
