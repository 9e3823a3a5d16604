package dev.stepd.expr.rewrite;

import static dev.stepd.expr.Expr.compare;
import static dev.stepd.expr.Expr.constant;
import static dev.stepd.expr.Expr.select;

import dev.stepd.expr.CompareOp;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Type;
import dev.stepd.expr.UnaryOp;

/// `tanh(x) = 1 - 2 / (exp(2|x|) + 1)` with the sign of x; below 0.55, where that cancels, the convergent of Lambert's
/// continued fraction `x / (1 + x^2 / (3 + x^2 / (5 + ...)))`, as `x (1 - r)` with an r below 0.1, whose error counts little.
///
/// Error below 2 units in the last place.
final class HyperbolicTangent {
    private HyperbolicTangent() {}

    static Expr tanh(Expr x) {
        var type = x.type();
        var size = new Expr.Unary(UnaryOp.ABS, x);
        var grown = Exponential.exp(size.plus(size));
        var large = constant(type, 1).minus(constant(type, 2).over(grown.plus(1)));
        var signed = select(compare(CompareOp.LT, x, constant(type, 0)), large.negate(), large);
        var near = compare(CompareOp.LT, size, constant(type, 0.55));
        return select(near, fraction(x), select(compare(CompareOp.EQ, x, x), signed, x));
    }

    /// The convergent as `x P(x^2) / Q(x^2) = x (1 - (Q - P)/Q)`: numerators and denominators both obey
    /// `c[k] = (2k+1) c[k-1] + x^2 c[k-2]`. P and Q begin with the same number, so `Q - P` is `x^2` times a polynomial.
    private static Expr fraction(Expr x) {
        int depth = x.type() == Type.F32 ? 4 : 8;
        var numerator = new double[][] {{0}, {1}};
        var denominator = new double[][] {{1}, {1}};
        for (int k = 1; k <= depth; k++) {
            numerator = new double[][] {numerator[1], next(2 * k + 1, numerator[1], numerator[0])};
            denominator = new double[][] {denominator[1], next(2 * k + 1, denominator[1], denominator[0])};
        }
        var square = x.times(x);
        var less = square.times(polynomial(square, difference(denominator[1], numerator[1])));
        return x.times(constant(x.type(), 1).minus(less.over(polynomial(square, denominator[1]))));
    }

    /// `(a - b) / x` for polynomials with the same constant.
    private static double[] difference(double[] a, double[] b) {
        var difference = new double[a.length - 1];
        for (int i = 1; i < a.length; i++) {
            difference[i - 1] = a[i] - (i < b.length ? b[i] : 0);
        }
        return difference;
    }

    private static double[] next(double factor, double[] last, double[] beforeLast) {
        var sum = new double[Math.max(last.length, beforeLast.length + 1)];
        for (int i = 0; i < last.length; i++) {
            sum[i] += factor * last[i];
        }
        for (int i = 0; i < beforeLast.length; i++) {
            sum[i + 1] += beforeLast[i];
        }
        return sum;
    }

    private static Expr polynomial(Expr x, double[] coefficients) {
        var sum = constant(x.type(), coefficients[coefficients.length - 1]);
        for (int i = coefficients.length - 2; i >= 0; i--) {
            sum = new Expr.Fma(sum, x, constant(x.type(), coefficients[i]));
        }
        return sum;
    }
}
