package dev.stepd.expr.codec;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Type;

/// Codes for values in units of their block's scale.
sealed interface Codes permits DynamicCodes, BookCodes, Float8Codes {
    /// What a tie between two codes becomes.
    enum Tie {
        /// The lower value, as bitsandbytes has it.
        LOWER,
        /// The upper value, as torchao has it.
        UPPER
    }

    /// Names the values of the codes in programs and exports.
    String name();

    Type storage();

    /// The value that a block's largest is scaled to.
    float top();

    Expr decode(Expr code);

    /// The nearest code; of NaN one that is always the same. Only the bits that [#storage] keeps count.
    Expr encode(Expr value);
}
