/// The seam between programs and what computes them.
///
/// Start at [Memory]. May use `codegen`, `expr`, `tensor`, `error`.
@NullMarked
package dev.stepd.device;

import org.jspecify.annotations.NullMarked;
