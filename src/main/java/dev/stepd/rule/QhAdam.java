package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Scope;
import java.util.List;

/// Adam whose moments are mixed with the gradient of the step and its square.
///
///     w_i <- 1 + b_i*w_i, a_i = 1 - 1/w_i        m <- a1*m + (1 - a1)*g        v <- a2*v + (1 - a2)*g^2
///     delta = -lr * (nu1*m + (1 - nu1)*g) / (sqrt(nu2*v + (1 - nu2)*g^2) + eps)
///
/// The growing `a_i` are the bias correction. Weight decay is coupled, or decoupled as in AdamW. State: 8 bytes a
/// parameter and the two weights, one number a tensor each. Ma, Yarats, *Quasi-hyperbolic momentum and Adam for deep
/// learning*, 2018, arXiv:1810.06801; follows facebookresearch/qhoptim.
final class QhAdam implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("qhadam", "Quasi-hyperbolic Adam",
                        "Ma, Yarats: Quasi-hyperbolic momentum and Adam for deep learning, ICLR 2019, arXiv:1810.06801")
                .follows("facebookresearch/qhoptim@e81dea3 qhoptim/pyt/qhadam.py")
                .lr(1e-3)
                .betas(0.9, 0.999)
                .real("nu1", 1, Hyperparameter.Range.UNIT, "share of the mean gradient; the gradient has the rest")
                .real("nu2", 1, Hyperparameter.Range.UNIT, "share of the mean square; the square of the gradient has the rest")
                .eps(1e-8)
                .weightDecay(0)
                .flag("decoupled", false, "decay the parameter as AdamW does, not the gradient")
                .moments()
                .slot("beta1_weight", Scope.TENSOR, Spec.Sign.UNSIGNED, 0)
                .slot("beta2_weight", Scope.TENSOR, Spec.Sign.UNSIGNED, 0)
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        boolean decoupled = in.flag("decoupled");
        var g = decoupled ? in.grad() : in.decayedGrad();
        var expAvg = in.slot("exp_avg");
        var expAvgSq = in.slot("exp_avg_sq");
        var weight1 = in.slot("beta1_weight");
        var weight2 = in.slot("beta2_weight");
        var w1 = in.hyper("beta1").times(weight1.old()).plus(1);
        var w2 = in.hyper("beta2").times(weight2.old()).plus(1);
        var m = mean(expAvg.old(), g, w1);
        var v = mean(expAvgSq.old(), g.squared(), w2);
        var above = mixed(in.hyper("nu1"), m, g);
        var below = Inputs.sqrt(mixed(in.hyper("nu2"), v, g.squared())).plus(in.hyper("eps"));
        var step = in.hyper("lr").negate().times(above.over(below));
        return List.of(
                in.delta(decoupled ? in.decoupledDecay(step) : step),
                expAvg.becomes(m),
                expAvgSq.becomes(v),
                weight1.becomes(w1),
                weight2.becomes(w2));
    }

    /// The mean of everything so far, of which `value` has one part in `weight`.
    private static Expr mean(Expr old, Expr value, Expr weight) {
        return Inputs.ema(old, value, Inputs.one().minus(Inputs.one().over(weight)));
    }

    private static Expr mixed(Expr share, Expr mean, Expr value) {
        return share.times(mean).plus(Inputs.one().minus(share).times(value));
    }
}
