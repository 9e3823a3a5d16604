package dev.stepd.expr.codec;

import static dev.stepd.expr.codec.Words.SIGN;
import static dev.stepd.expr.codec.Words.abs;
import static dev.stepd.expr.codec.Words.and;
import static dev.stepd.expr.codec.Words.bits;
import static dev.stepd.expr.codec.Words.left;
import static dev.stepd.expr.codec.Words.less;
import static dev.stepd.expr.codec.Words.or;
import static dev.stepd.expr.codec.Words.real;
import static dev.stepd.expr.codec.Words.right;
import static dev.stepd.expr.codec.Words.rounded;
import static dev.stepd.expr.codec.Words.stored;
import static dev.stepd.expr.codec.Words.unlessNaN;
import static dev.stepd.expr.codec.Words.whole;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Type;
import java.util.List;

/// `f16`: IEEE half precision, rounded to nearest, ties to even, subnormals included. NaN stays NaN and infinity infinity.
///
/// @param saturates whether a finite value beyond the largest becomes the largest, as for state, where an infinity would
///     stay for ever, or infinity, as IEEE has it and clients expect of parameters
record F16Codec(boolean saturates) implements Codec {
    private static final int EXPONENT_SHIFT = 127 - 15 << 10;
    private static final int INFINITY = 0x7c00;
    private static final int LARGEST = 0x7bff;
    private static final int NAN = 0x7e00;

    @Override
    public String name() {
        return "f16";
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
        var size = and(code, 0x7fff);
        var normal = left(size.plus(whole(EXPONENT_SHIFT)), 13);
        var subnormal = bits(size.as(Type.F32).times(real(0x1p-24)));
        var special = or(left(size, 13), whole(0x7f800000));
        var finite = Expr.select(less(size, whole(1 << 10)), subnormal, normal);
        var value = Expr.select(less(size, whole(INFINITY)), finite, special);
        return bits(or(value, left(and(code, 0x8000), 16)));
    }

    @Override
    public List<Expr> encode(Buffer slot, Expr value) {
        return List.of(encode(value));
    }

    Expr encode(Expr value) {
        var size = abs(value);
        var normal = rounded(bits(size), 13).minus(whole(EXPONENT_SHIFT));
        // In units of the smallest subnormal, added to 2^23 the value is rounded to a whole number in the lowest bits.
        var subnormal = and(bits(size.times(real(0x1p24)).plus(real(0x1p23))), 0x7ff);
        var finite = Expr.select(less(size, real(0x1p-14)), subnormal, normal);
        var overflow = saturates
                ? Expr.select(less(size, real(Double.POSITIVE_INFINITY)), whole(LARGEST), whole(INFINITY))
                : whole(INFINITY);
        var code = Expr.select(less(size, real(65520)), finite, overflow);
        var sign = right(and(bits(value), SIGN), 16);
        return unlessNaN(value, or(code, sign), whole(NAN));
    }
}
