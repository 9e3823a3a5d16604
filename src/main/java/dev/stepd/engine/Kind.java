package dev.stepd.engine;

import dev.stepd.tensor.DType;

/// What decides a tensor's programs and state: tensors of one kind take the same step.
///
/// @param view what the tensor is to the rule ([dev.stepd.rule.View#kind])
/// @param dtype what its parameters and deltas are for the client
/// @param coded whether its slots are kept in the session's format, or in f32 because it is small
public record Kind(String view, DType dtype, boolean coded) {}
