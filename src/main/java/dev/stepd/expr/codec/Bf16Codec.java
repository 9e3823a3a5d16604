package dev.stepd.expr.codec;

import static dev.stepd.expr.codec.Words.and;
import static dev.stepd.expr.codec.Words.bits;
import static dev.stepd.expr.codec.Words.left;
import static dev.stepd.expr.codec.Words.less;
import static dev.stepd.expr.codec.Words.oneIf;
import static dev.stepd.expr.codec.Words.right;
import static dev.stepd.expr.codec.Words.rounded;
import static dev.stepd.expr.codec.Words.stored;
import static dev.stepd.expr.codec.Words.unlessNaN;
import static dev.stepd.expr.codec.Words.whole;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Type;
import java.util.List;

/// `bf16`: the upper half of an f32. Rounded stochastically, so that what is too small to move a running mean at once
/// moves it on average: away from zero with the probability of what is cut off. NaN stays NaN, infinity infinity; a value that
/// rounds beyond the largest finite one becomes infinite, as in torchao.
///
/// @param stochastic whether the rounding is random, or to nearest with ties to even
record Bf16Codec(boolean stochastic) implements Codec {
    private static final int NAN = 0x7fc0;

    @Override
    public String name() {
        return "bf16";
    }

    @Override
    public List<Buffer> arrays(Buffer slot) {
        return List.of(stored(slot, Type.I16));
    }

    @Override
    public Expr decode(Buffer slot) {
        return decode(new Expr.Read(stored(slot, Type.I16)));
    }

    static Expr decode(Expr code) {
        return bits(left(code, 16));
    }

    @Override
    public List<Expr> encode(Buffer slot, Expr value) {
        return List.of(stochastic ? random(value, and(new Expr.Draw(slot.name()), 0xffff)) : nearest(value));
    }

    @Override
    public List<Expr> encodeNearest(Buffer slot, Expr value) {
        return List.of(nearest(value));
    }

    /// @param draw 16 random bits
    static Expr random(Expr value, Expr draw) {
        var pattern = bits(value);
        var up = oneIf(less(draw, and(pattern, 0xffff)));
        return unlessNaN(value, right(pattern, 16).plus(up), whole(NAN));
    }

    static Expr nearest(Expr value) {
        return unlessNaN(value, rounded(bits(value), 16), whole(NAN));
    }
}
