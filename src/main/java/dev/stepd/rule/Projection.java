package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;

/// What AdamP and SGDP do to a step of scale-invariant weights: it loses the part along the weights, which would only make
/// them longer.
///
/// Weights count as scale-invariant when their gradient is nearly at right angles to them: first row by row (channels), then as
/// a whole (the layer). Heo et al., 2020, arXiv:2006.08217, Section 3.2 and Appendix D.
///
/// @param step the step, projected where the weights are scale-invariant
/// @param decay what is left of weight decay: `wd_ratio` where the step was projected, else 1
record Projection(Expr step, Expr decay) {
    /// The step of a vector.
    static Projection none(Expr step) {
        return new Projection(step, Inputs.one());
    }

    static Projection of(Inputs in, Expr step) {
        var byRow = Inputs.largest(Scope.TENSOR, cosine(in, Scope.ROW));
        var whole = cosine(in, Scope.TENSOR);
        var columns = Inputs.sqrt(Inputs.columns());
        var elements = Inputs.sqrt(Inputs.count(Scope.TENSOR));
        var rows = Inputs.greater(in.hyper("delta").over(columns), byRow);
        var layer = Inputs.greater(in.hyper("delta").over(elements), whole);
        var projected = Expr.select(rows, without(in, step, Scope.ROW),
                Expr.select(layer, without(in, step, Scope.TENSOR), step));
        var ratio = in.hyper("wd_ratio");
        return new Projection(projected, Expr.select(rows, ratio, Expr.select(layer, ratio, Inputs.one())));
    }

    /// How far from a right angle gradient and weights are.
    private static Expr cosine(Inputs in, Scope over) {
        var product = Inputs.norm(over, in.grad()).times(Inputs.norm(over, in.param()));
        return Inputs.abs(Inputs.dot(over, in.grad(), in.param())).over(Inputs.max(product, in.hyper("eps")));
    }

    /// The step less its part along the weights.
    private static Expr without(Inputs in, Expr step, Scope over) {
        var direction = in.param().over(Inputs.norm(over, in.param()).plus(in.hyper("eps")));
        return step.minus(direction.times(Inputs.dot(over, direction, step)));
    }
}
