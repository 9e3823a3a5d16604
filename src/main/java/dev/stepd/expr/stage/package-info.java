/// Splits a program into passes over memory, where a reduction (later: a matrix operation) needs a whole row, tensor or
/// session before anything can go on, and takes what the host can compute out of them.
///
/// Start at [Plan]. May use `expr`.
@NullMarked
package dev.stepd.expr.stage;

import org.jspecify.annotations.NullMarked;
