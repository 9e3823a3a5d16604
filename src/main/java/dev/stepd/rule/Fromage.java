package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Scope;
import java.util.List;

/// Each tensor turns by the same share of its norm, then shrinks by what the turn lengthened it.
///
///     u = lr*g*|p|/|g|, lr*g where either norm is 0        p <- (p - u) / sqrt(1 + lr^2)
///     p_bound: b = p_bound*|p| of the first step,  p <- p * min(1, b/|p|)
///
/// State: none; with `p_bound` one number a tensor. Bernstein et al., *On the distance between two neural networks and the
/// stability of learning*, 2020, arXiv:2002.03432, Algorithm 1; follows jxbz/fromage.
final class Fromage implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("fromage", "Steps by the norm of the tensor",
                        "Bernstein, Vahdat, Yue, Liu: On the distance between two neural networks and the stability of learning, 2020, arXiv:2002.03432")
                .follows("jxbz/fromage@4a6593b fromage.py")
                .lr(0.01)
                .option("p_bound", 0, Hyperparameter.Range.NON_NEGATIVE, "largest norm as a multiple of the first")
                .slot("max", Scope.TENSOR, Spec.Sign.UNSIGNED, 0)
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var delta = turned(in);
        if (!in.on("p_bound")) {
            return List.of(in.delta(delta));
        }
        var slot = in.slot("max");
        var pBound = in.hyper("p_bound");
        var atFirst = pBound.times(Inputs.norm(Scope.TENSOR, in.param()));
        var max = Expr.select(in.first(), atFirst, slot.old());
        var moved = in.param().plus(delta);
        var norm = Inputs.norm(Scope.TENSOR, moved);
        var exceeds = Inputs.and(Inputs.positive(pBound), Inputs.greater(norm, max));
        var change = Expr.select(exceeds, max.minus(norm).over(norm), Expr.constant(0));
        return List.of(in.delta(delta.plus(change.times(moved))), slot.becomes(max));
    }

    /// `(p - u) / r - p` for `r = sqrt(1 + lr^2)`, with `1 - r = -lr^2 / (1 + r)` so that nothing cancels.
    private static Expr turned(Inputs in) {
        var lr = in.hyper("lr");
        var ofParam = Inputs.norm(Scope.TENSOR, in.param());
        var ofGrad = Inputs.norm(Scope.TENSOR, in.grad());
        var neitherIsZero = Inputs.and(Inputs.positive(ofParam), Inputs.positive(ofGrad));
        var rate = lr.times(Expr.select(neitherIsZero, ofParam.over(ofGrad), Inputs.one()));
        var longer = Inputs.sqrt(lr.squared().plus(1));
        var shrink = lr.squared().over(longer.plus(1).times(longer));
        return rate.over(longer).times(in.grad()).plus(shrink.times(in.param())).negate();
    }
}
