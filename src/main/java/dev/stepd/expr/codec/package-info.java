/// The formats that slots are stored in, as expressions: what is read is decoded where a program reads it, and what is
/// written encoded where it writes it. So every rule has every format, on every device with the same bits.
///
/// Start at [StoreSlots] and [Formats]. May use `expr` and `expr.rewrite`.
@NullMarked
package dev.stepd.expr.codec;

import org.jspecify.annotations.NullMarked;
