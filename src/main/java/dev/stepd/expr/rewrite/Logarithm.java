package dev.stepd.expr.rewrite;

import static dev.stepd.expr.Expr.compare;
import static dev.stepd.expr.Expr.constant;
import static dev.stepd.expr.Expr.select;

import dev.stepd.expr.BinaryOp;
import dev.stepd.expr.CompareOp;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Type;

/// `log(2^e m) = e ln 2 + log(1 + f)` with `m = 1 + f` between sqrt(1/2) and sqrt(2), and with `s = f / (2 + f)`
/// `log(1 + f) = 2 atanh(s) = f - (f^2/2 - s (f^2/2 + R))`, where `R = 2 (s^2/3 + s^4/5 + ...)`.
///
/// Error below 1 unit in the last place. `log(0) = -inf`, `log(negative) = NaN`.
final class Logarithm {
    private Logarithm() {}

    static Expr log(Expr x) {
        var type = x.type();
        var format = Exponential.Format.of(type);
        double smallestNormal = type == Type.F32 ? Float.MIN_NORMAL : Double.MIN_NORMAL;
        double lift = Math.scalb(1.0, format.mantissa());
        var subnormal = compare(CompareOp.LT, x, constant(type, smallestNormal));
        var normal = select(subnormal, x.times(lift), x);
        var whole = mantissa(normal, format);
        var upper = compare(CompareOp.LT, constant(type, Math.sqrt(2)), whole);
        var e = exponent(normal, format)
                .minus(select(subnormal, constant(type, format.mantissa()), constant(type, 0)))
                .plus(select(upper, constant(type, 1), constant(type, 0)));
        var f = select(upper, whole.times(0.5), whole).minus(1);
        return special(x, sum(e, f, format, type == Type.F32 ? 4 : 10));
    }

    private static Expr sum(Expr e, Expr f, Exponential.Format format, int terms) {
        var s = f.over(f.plus(2));
        var z = s.times(s);
        var series = constant(f.type(), 2.0 / (2 * terms + 1));
        for (int k = terms - 1; k > 0; k--) {
            series = new Expr.Fma(series, z, constant(f.type(), 2.0 / (2 * k + 1)));
        }
        var r = series.times(z);
        var halfSquare = f.times(f).times(0.5);
        var small = new Expr.Fma(e, constant(f.type(), format.ln2Low()), s.times(halfSquare.plus(r)));
        var correction = halfSquare.minus(small).minus(f);
        return e.times(format.ln2High()).minus(correction);
    }

    private static Expr special(Expr x, Expr result) {
        var type = x.type();
        var zero = constant(type, 0);
        var infinity = constant(type, Double.POSITIVE_INFINITY);
        var finite = select(compare(CompareOp.LT, x, infinity), result, x);
        var positive = select(compare(CompareOp.EQ, x, zero), infinity.negate(), finite);
        return select(compare(CompareOp.LT, x, zero), constant(type, Double.NaN), positive);
    }

    /// The exponent without its bias: its bits under those of `2^mantissa` are a whole number of that size.
    private static Expr exponent(Expr x, Exponential.Format format) {
        var bits = new Expr.Bits(x);
        var shifted = new Expr.Binary(BinaryOp.SHR, bits, new Expr.Const(bits.type(), format.mantissa()));
        var base = constant(x.type(), Math.scalb(1.0, format.mantissa()));
        var joined = new Expr.Bits(new Expr.Binary(BinaryOp.OR, shifted, bitsOf(base)));
        return joined.minus(Math.scalb(1.0, format.mantissa()) + format.bias());
    }

    /// The mantissa as a number from 1 to 2.
    private static Expr mantissa(Expr x, Exponential.Format format) {
        var bits = new Expr.Bits(x);
        var mask = new Expr.Const(bits.type(), (1L << format.mantissa()) - 1);
        var kept = new Expr.Binary(BinaryOp.AND, bits, mask);
        return new Expr.Bits(new Expr.Binary(BinaryOp.OR, kept, bitsOf(constant(x.type(), 1))));
    }

    private static Expr bitsOf(Expr constant) {
        return new Expr.Const(constant.type().twin(), ((Expr.Const) constant).bits());
    }
}
