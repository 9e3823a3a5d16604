package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Type;

/// Random values of the standard normal distribution, in f64, one for each element: the inverse of its distribution function
/// at a uniform draw of 32 bits, so none is beyond 6.4.
///
/// With `u` the draw and `q = u - 1/2`: `q A(r)/B(r)` with `r = 0.425^2 - q^2` where `|q| <= 0.425`, else `C(r)/D(r)` with the sign
/// of `q` and `r = sqrt(-ln(min(u, 1 - u))) - 1.6`. Wichura, *Algorithm AS 241: The percentage points of the normal distribution*,
/// Applied Statistics 37, 1988, routine PPND16 without the part that so few bits never reach.
final class Normal {
    /// From the highest power down.
    private static final double[] A = {
        2.5090809287301226727e+3, 3.3430575583588128105e+4, 6.7265770927008700853e+4, 4.5921953931549871457e+4,
        1.3731693765509461125e+4, 1.9715909503065514427e+3, 1.3314166789178437745e+2, 3.3871328727963666080e+0
    };
    private static final double[] B = {
        5.2264952788528545610e+3, 2.8729085735721942674e+4, 3.9307895800092710610e+4, 2.1213794301586595867e+4,
        5.3941960214247511077e+3, 6.8718700749205790830e+2, 4.2313330701600911252e+1, 1
    };
    private static final double[] C = {
        7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258e+0,
        3.64784832476320460504e+0, 5.76949722146069140550e+0, 4.63033784615654529590e+0, 1.42343711074968357734e+0
    };
    private static final double[] D = {
        1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1,
        6.89767334985100004550e-1, 1.67638483018380384940e+0, 2.05319162663775882187e+0, 1
    };

    private Normal() {}

    /// @param stream the draws' name: two of the same are one
    static Expr draw(String stream) {
        return at(new Expr.Draw(stream).as(Type.F64).plus(0.5).times(0x1p-32));
    }

    /// @param q how far into the distribution, less a half
    private static Expr at(Expr q) {
        var size = Inputs.abs(q);
        var r = Expr.constant(0.180625).minus(q.squared());
        var middle = q.times(polynomial(A, r).over(polynomial(B, r)));
        var far = Inputs.sqrt(Inputs.log(Expr.constant(0.5).minus(size)).negate()).minus(1.6);
        var end = polynomial(C, far).over(polynomial(D, far));
        return Expr.select(Inputs.atLeast(Expr.constant(0.425), size), middle, Inputs.sign(q).times(end));
    }

    private static Expr polynomial(double[] coefficients, Expr x) {
        var sum = Expr.constant(coefficients[0]);
        for (int i = 1; i < coefficients.length; i++) {
            sum = sum.times(x).plus(coefficients[i]);
        }
        return sum;
    }
}
