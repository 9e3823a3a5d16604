/// The language rules are written in: a typed program over named arrays, its printer, the check of what is legal at
/// each point of the way, and the interpreter that is the reference for everything generated from a program.
///
/// Start at [Expr] and [Program]; `expr.rewrite` changes programs, `expr.stage` splits them into passes.
/// May use `tensor` and `error`.
@NullMarked
package dev.stepd.expr;

import org.jspecify.annotations.NullMarked;
