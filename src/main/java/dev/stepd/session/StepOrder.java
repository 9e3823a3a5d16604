package dev.stepd.session;

import java.util.OptionalLong;

/// How a step was asked for.
///
/// @param number the `Stepd-Step` header: the number this step shall have
/// @param partial whether tensors may be absent
public record StepOrder(OptionalLong number, boolean partial, Return returned, long contentLength) {
    /// The `return` query parameter.
    public enum Return {
        DELTA,
        PARAMETERS,
        NONE
    }
}
