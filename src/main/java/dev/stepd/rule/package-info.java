/// The catalogue: one optimizer a file, written as its paper writes it, and what goes with every optimizer: clipping,
/// groups and schedules.
///
/// Start at [Catalogue] and [AdamW]. May use `expr`, `tensor` and `error`.
@NullMarked
package dev.stepd.rule;

import org.jspecify.annotations.NullMarked;
