package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import java.util.List;

/// Adam that divides by the second moment of before and smooths the quotient, so that it converges with any `beta2`.
/// The first step sets the second moment and moves nothing.
///
///     first step: v <- g^2, delta = 0
///     u = clamp(g / max(sqrt(v), eps), -c, c), c = (t - 1)^clip_exp        m <- b1*m + (1 - b1)*u
///     delta = -lr*m        v <- b2*v + (1 - b2)*g^2, after its use
///
/// Weight decay is coupled, or decoupled as in AdamW. State: 8 bytes a parameter. Taniguchi et al., *ADOPT: modified
/// Adam can converge with any beta2 with the optimal rate*, 2024, arXiv:2411.02853; follows iShohei220/adopt.
final class Adopt implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("adopt", "Adam that converges with any beta2",
                        "Taniguchi, Harada, Minegishi, Oshima, Jeong, Nagahara, Iiyama, Suzuki, Iwasawa, Matsuo: ADOPT: modified Adam can converge with any beta2 with the optimal rate, 2024, arXiv:2411.02853")
                .follows("iShohei220/adopt@6468572 src/adopt/adopt.py (single-tensor path)")
                .lr(1e-3)
                .decay("beta1", 0.9, "how much of the mean step is kept each step")
                .decay("beta2", 0.9999, "how much of the mean squared gradient is kept each step")
                .eps(1e-6)
                .limit("clip_exp", 0.25, Hyperparameter.Range.NON_NEGATIVE, "steps are cut at finished steps to this power")
                .weightDecay(0)
                .flag("decoupled", false, "decay the parameter as AdamW does, not the gradient")
                .moments()
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        boolean decoupled = in.flag("decoupled");
        var g = decoupled ? in.grad() : in.decayedGrad();
        var expAvg = in.slot("exp_avg");
        var expAvgSq = in.slot("exp_avg_sq");
        var u = clipped(in, g.over(Inputs.max(Inputs.sqrt(expAvgSq.old()), in.hyper("eps"))));
        var m = Inputs.ema(expAvg.old(), u, in.hyper("beta1"));
        var v = Inputs.ema(expAvgSq.old(), g.squared(), in.hyper("beta2"));
        var step = in.hyper("lr").negate().times(m);
        var moved = decoupled ? in.decoupledDecay(step) : step;
        return List.of(
                in.delta(Expr.select(in.first(), Expr.constant(0), moved)),
                expAvg.becomes(Expr.select(in.first(), expAvg.old(), m)),
                expAvgSq.becomes(Expr.select(in.first(), g.squared(), v)));
    }

    private static Expr clipped(Inputs in, Expr u) {
        var exponent = in.hyper("clip_exp");
        var bound = Inputs.pow(in.t().minus(1), exponent);
        var limited = Inputs.greater(Expr.constant(Double.POSITIVE_INFINITY), exponent);
        return Expr.select(limited, Inputs.min(Inputs.max(u, bound.negate()), bound), u);
    }
}
