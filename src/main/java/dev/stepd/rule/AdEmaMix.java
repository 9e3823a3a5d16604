package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import java.util.ArrayList;
import java.util.List;

/// Adam with a second, slow mean of the gradient, which is not corrected for its start; weight and decay rate of it may
/// warm up.
///
///     a = alpha*min(1, t/alpha_warmup)        h(b) = ln(0.5) / ln(b + 1e-8) - 1, w = t/beta3_warmup
///     b3' = 0.5^(1 / ((1 - w)*h(b1) + w*h(b3) + 1)) while w < 1, then b3
///     f <- b1*f + (1 - b1)*g, f = g if b1 = 0        s <- b3'*s + (1 - b3')*g        v as Adam
///     delta = -lr*wd*p - lr*(f / (1 - b1^t) + a*s) / (sqrt(v) / sqrt(1 - b2^t) + eps)
///
/// State: 12 bytes a parameter, 8 if `beta1` is 0. Pagliardini, Ablin, Grangier, *The AdEMAMix optimizer: better,
/// faster, older*, 2024, arXiv:2409.03137; follows apple/ml-ademamix.
final class AdEmaMix implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("ademamix", "Adam with a slow second mean",
                        "Pagliardini, Ablin, Grangier: The AdEMAMix optimizer: better, faster, older, 2024, arXiv:2409.03137")
                .follows("apple/ml-ademamix@c3d73c0 pytorch/ademamix.py")
                .lr(1e-3)
                .decay("beta1", 0.9, "how much of the fast mean gradient is kept each step; 0 keeps none")
                .decay("beta2", 0.999, "how much of the mean squared gradient is kept each step")
                .decay("beta3", 0.9999, "how much of the slow mean gradient is kept each step")
                .real("alpha", 2, Hyperparameter.Range.NON_NEGATIVE, "weight of the slow mean")
                .option("beta3_warmup", 0, Hyperparameter.Range.NON_NEGATIVE, "steps until the slow mean is as slow as beta3")
                .option("alpha_warmup", 0, Hyperparameter.Range.NON_NEGATIVE, "steps until the slow mean has all of its weight")
                .eps(1e-8)
                .weightDecay(0)
                .slot("exp_avg_fast", Spec.Sign.SIGNED)
                .slot("exp_avg_slow", Spec.Sign.SIGNED)
                .ageless()
                .slot("exp_avg_sq", Spec.Sign.UNSIGNED)
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var g = in.grad();
        var beta1 = in.hyper("beta1");
        var beta2 = in.hyper("beta2");
        var expAvgSlow = in.slot("exp_avg_slow");
        var expAvgSq = in.slot("exp_avg_sq");
        var slow = Inputs.ema(expAvgSlow.old(), g, slowDecay(in));
        var v = Inputs.ema(expAvgSq.old(), g.squared(), beta2);
        var writes = new ArrayList<>(List.of(expAvgSlow.becomes(slow), expAvgSq.becomes(v)));
        var fast = g;
        if (in.on("beta1")) {
            var expAvgFast = in.slot("exp_avg_fast");
            fast = Inputs.ema(expAvgFast.old(), g, beta1);
            writes.add(expAvgFast.becomes(fast));
        }
        var warmth = Inputs.min(in.t().over(in.hyper("alpha_warmup")), Inputs.one());
        var direction = fast.over(in.biasCorrection(beta1)).plus(in.hyper("alpha").times(warmth).times(slow));
        var root = Inputs.sqrt(v).over(Inputs.sqrt(in.biasCorrection(beta2))).plus(in.hyper("eps"));
        writes.addFirst(in.delta(in.decoupledDecay(in.hyper("lr").negate().times(direction.over(root)))));
        return writes;
    }

    private static Expr slowDecay(Inputs in) {
        var beta3 = in.hyper("beta3");
        var steps = in.hyper("beta3_warmup");
        var way = in.t().over(steps);
        var from = halfLife(in.hyper("beta1")).times(Inputs.one().minus(way));
        var halfLife = from.plus(halfLife(beta3).times(way));
        var warming = Inputs.pow(Expr.constant(0.5), Inputs.one().over(halfLife.plus(1)));
        return Expr.select(Inputs.greater(steps, in.t()), warming, beta3);
    }

    /// The steps after which a mean has half forgotten, less one; 1e-8 is the authors'.
    private static Expr halfLife(Expr beta) {
        return Inputs.log(Expr.constant(0.5)).over(Inputs.log(beta.plus(1e-8))).minus(1);
    }
}
