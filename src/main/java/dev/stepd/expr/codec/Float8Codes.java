package dev.stepd.expr.codec;

import static dev.stepd.expr.codec.Words.SIGN;
import static dev.stepd.expr.codec.Words.abs;
import static dev.stepd.expr.codec.Words.and;
import static dev.stepd.expr.codec.Words.bits;
import static dev.stepd.expr.codec.Words.less;
import static dev.stepd.expr.codec.Words.or;
import static dev.stepd.expr.codec.Words.real;
import static dev.stepd.expr.codec.Words.right;
import static dev.stepd.expr.codec.Words.rounded;
import static dev.stepd.expr.codec.Words.unlessNaN;
import static dev.stepd.expr.codec.Words.whole;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Table;
import dev.stepd.expr.Type;

/// 8-bit floats with 4 bits of exponent and 3 of mantissa, no infinities, one NaN of each sign: e4m3fn of Micikevicius et
/// al., *FP8 Formats for Deep Learning*, 2022, arXiv:2209.05433. Rounded to nearest, ties to even; the largest is 448.
record Float8Codes() implements Codes {
    private static final int LARGEST = 0x7e;
    private static final int NAN = 0x7f;
    private static final int EXPONENT_SHIFT = 127 - 7 << 3;

    private static final Table VALUES = Table.of("e4m3fn", values());

    private static float[] values() {
        var values = new float[256];
        for (int code = 0; code < values.length; code++) {
            int exponent = code >>> 3 & 15;
            int mantissa = code & 7;
            float size = exponent == 0 ? Math.scalb(mantissa, -9) : Math.scalb(8f + mantissa, exponent - 10);
            values[code] = (code & NAN) == NAN ? Float.NaN : code >= 128 ? -size : size;
        }
        return values;
    }

    @Override
    public String name() {
        return "e4m3fn";
    }

    @Override
    public Type storage() {
        return Type.I8;
    }

    @Override
    public float top() {
        return 448;
    }

    @Override
    public Expr decode(Expr code) {
        return new Expr.Lookup(VALUES, code);
    }

    @Override
    public Expr encode(Expr value) {
        var size = abs(value);
        var normal = rounded(bits(size), 20).minus(whole(EXPONENT_SHIFT));
        // In units of the smallest subnormal, added to 2^23 the value is rounded to a whole number in the lowest bits.
        var subnormal = and(bits(size.times(real(0x1p9)).plus(real(0x1p23))), 0xff);
        var code = Expr.select(less(size, real(0x1p-6)), subnormal, normal);
        var finite = Expr.select(less(whole(LARGEST), code), whole(LARGEST), code);
        var sign = right(and(bits(value), SIGN), 24);
        return unlessNaN(value, or(finite, sign), whole(NAN));
    }
}
