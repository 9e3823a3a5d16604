package dev.stepd.rule;

import dev.stepd.expr.Expr;

/// How far the second moment of Adam can be trusted at a step, both known to the host: the length of the moving average
/// that it equals, and the factor that makes up for its variance. Liu et al., 2019, arXiv:1908.03265.
///
///     R0 = 2/(1 - b2) - 1        length = R0 - 2*t*b2^t / (1 - b2^t)
///     factor = sqrt((length-4)(length-2)R0 / ((R0-4)(R0-2)length))
///
/// @param factor means something while `length` is above 4
record Rectification(Expr length, Expr factor) {
    static Rectification of(Inputs in, Expr beta2) {
        var limit = Expr.constant(2).over(Inputs.one().minus(beta2)).minus(1);
        var missing = in.t().times(2).times(Inputs.pow(beta2, in.t())).over(in.biasCorrection(beta2));
        var length = limit.minus(missing);
        var above = length.minus(4).times(length.minus(2)).times(limit);
        var below = limit.minus(4).times(limit.minus(2)).times(length);
        return new Rectification(length, Inputs.sqrt(above.over(below)));
    }
}
