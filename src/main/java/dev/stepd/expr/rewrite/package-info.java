/// Changes to programs that keep every bit of every result. One rewrite a file; each states `before -> after` and the
/// case that looks equal and is not. [Rewrites] is the order they run in.
///
/// May use `expr`.
@NullMarked
package dev.stepd.expr.rewrite;

import org.jspecify.annotations.NullMarked;
