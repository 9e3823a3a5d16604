package dev.stepd.expr.rewrite;

import static dev.stepd.expr.Expr.compare;
import static dev.stepd.expr.Expr.constant;
import static dev.stepd.expr.Expr.select;

import dev.stepd.expr.BinaryOp;
import dev.stepd.expr.CompareOp;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Type;

/// `exp(x) = 2^n exp(r)` with `n = round(x / ln 2)` and `|r| <= ln(2)/2`, where `exp(r)` is its Taylor polynomial.
///
/// Error below 1 unit in the last place for f32 and f64; results below the normal range are rounded once more.
final class Exponential {
    /// How one type is laid out and where its results end.
    ///
    /// @param mantissa stored mantissa bits
    /// @param bias of the exponent
    /// @param degree of the Taylor polynomial: the first term left out is below half a unit
    /// @param ln2High the leading bits of ln 2, few enough that `n * ln2High` is exact
    record Format(int mantissa, int bias, int degree, double lowest, double highest, double ln2High, double ln2Low) {
        /// `ln 2 - 0.693145751953125`; a double holds it to more digits than f32 keeps.
        static final Format F32 = new Format(23, 127, 7, -104, 89, 0.693145751953125, 1.4286068203094173e-6);
        /// `ln2High` is ln 2 with its last 21 bits cleared.
        static final Format F64 =
                new Format(52, 1023, 13, -746, 710, 0.6931471803691238, 1.9082149292705877e-10);

        static Format of(Type type) {
            return type == Type.F32 ? F32 : F64;
        }
    }

    private Exponential() {}

    static Expr exp(Expr x) {
        var type = x.type();
        var format = Format.of(type);
        // Adding 1.5 * 2^mantissa rounds to a whole number and leaves it, plus the bias, in the lowest bits.
        var magic = constant(type, 1.5 * Math.scalb(1.0, format.mantissa) + format.bias);
        var clamped = clamp(x, format);
        var n = new Expr.Fma(clamped, constant(type, 1 / Math.log(2)), magic).minus(magic);
        var high = new Expr.Fma(n, constant(type, -format.ln2High), clamped);
        var r = new Expr.Fma(n, constant(type, -format.ln2Low), high);
        // Two factors, since 2^n alone leaves the range before the result does.
        var half = n.times(0.5).plus(magic);
        var rest = n.minus(half.minus(magic)).plus(magic);
        var result = taylor(r, format).times(powerOfTwo(half, format)).times(powerOfTwo(rest, format));
        return select(compare(CompareOp.EQ, x, x), result, x);
    }

    private static Expr clamp(Expr x, Format format) {
        var lowest = constant(x.type(), format.lowest);
        var highest = constant(x.type(), format.highest);
        var above = select(compare(CompareOp.LT, x, lowest), lowest, x);
        return select(compare(CompareOp.LT, highest, above), highest, above);
    }

    private static Expr taylor(Expr r, Format format) {
        double factorial = 1;
        for (int i = 2; i <= format.degree; i++) {
            factorial *= i;
        }
        var sum = constant(r.type(), 1 / factorial);
        for (int i = format.degree; i > 0; i--) {
            factorial /= i;
            sum = new Expr.Fma(sum, r, constant(r.type(), 1 / factorial));
        }
        return sum;
    }

    /// 2 to the whole number in the lowest bits of `shifted`: they move up to become the exponent.
    private static Expr powerOfTwo(Expr shifted, Format format) {
        var bits = new Expr.Bits(shifted);
        return new Expr.Bits(new Expr.Binary(BinaryOp.SHL, bits, new Expr.Const(bits.type(), format.mantissa)));
    }
}
