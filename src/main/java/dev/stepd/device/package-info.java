/// The seam between programs and what computes them.
///
/// Start at [Device]. What state and slots lie in is an [Array], which only the device's programs may be able to address; what comes
/// with a step lies in main memory, and the device's side of it is a [Body].
/// May use `codegen`, `expr`, `tensor`, `error`.
@NullMarked
package dev.stepd.device;

import org.jspecify.annotations.NullMarked;
