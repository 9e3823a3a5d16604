package dev.stepd.expr.codec;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import java.util.List;

/// A format: which arrays an element-wise f32 slot becomes, and the expressions that lead there and back.
public sealed interface Codec permits PlainCodec, Bf16Codec, F16Codec, BlockCodec {
    /// As sessions name it: `int8`.
    String name();

    /// What its arrays hold, for whoever reads an export: the name, and of blocks their code book and size.
    default String description() {
        return name();
    }

    /// The arrays that hold the slot, the one with a value for each element first and under the slot's own name.
    List<Buffer> arrays(Buffer slot);

    /// The slot's f32 values before the step.
    Expr decode(Buffer slot);

    /// What each of the [#arrays] becomes when the slot becomes `value`.
    ///
    /// @param value f32
    List<Expr> encode(Buffer slot, Expr value);

    /// [#encode] where nothing is random: for the value that a slot starts at.
    default List<Expr> encodeNearest(Buffer slot, Expr value) {
        return encode(slot, value);
    }
}
