package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Scope;
import java.util.List;

/// Adam that estimates its rate: the distance to the solution, of which `d` is a lower bound that only grows.
///
///     k = d*lr, with bias_correction times sqrt(1 - b2^t) / (1 - b1^t)        g <- g + wd*p, unless decoupled
///     n <- b3*n + d/d0 * k * <g, p0 - p>        m <- b1*m + d*(1 - b1)*g        v <- b2*v + d^2*(1 - b2)*g^2
///     s <- b3*s + d/d0 * k * g, with safeguard_warmup d for k        e = d_coef * n / sum|s|
///     d' = max(d, e) if d is d0, else d        d_max <- max(d_max, e)        d <- min(d_max, d'*growth_rate)
///     delta = -k*m / (sqrt(v) + d*eps) with the new d and the old k, decoupled also -wd*k*p
///
/// Sums are over all tensors; while s is 0 everywhere there is no step. `beta3` is sqrt(b2) unless set. State: 16 bytes a
/// parameter and three numbers. Mishchenko, Defazio, *Prodigy: an expeditiously adaptive parameter-free learner*, 2023,
/// arXiv:2306.06101, Algorithm 4; follows konstmish/prodigy.
final class Prodigy implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("prodigy", "Adam with an estimated rate",
                        "Mishchenko, Defazio: Prodigy: an expeditiously adaptive parameter-free learner, 2023, arXiv:2306.06101")
                .follows("konstmish/prodigy@3efb213 prodigyopt/prodigy.py")
                .shared("lr", 1.0, Hyperparameter.Range.NON_NEGATIVE, "factor of the estimated rate")
                .shared("beta1", 0.9, Hyperparameter.Range.DECAY, "how much of the mean gradient is kept each step")
                .shared("beta2", 0.999, Hyperparameter.Range.DECAY, "how much of the mean squared gradient is kept each step")
                .sharedOption("beta3", 0, Hyperparameter.Range.DECAY, "how much the estimate keeps; sqrt(beta2) if off")
                .eps(1e-8)
                .weightDecay(0)
                .flag("decoupled", true, "decay the parameter as AdamW does, not the gradient")
                .flag("bias_correction", false, "correct the rate as Adam does")
                .flag("safeguard_warmup", false, "leave the rate out of the estimate's denominator")
                .shared("d0", 1e-6, Hyperparameter.Range.POSITIVE, "first estimate")
                .shared("d_coef", 1.0, Hyperparameter.Range.NON_NEGATIVE, "factor of the estimate")
                .sharedOption("growth_rate", 0, Hyperparameter.Range.NON_NEGATIVE, "most the estimate grows by in a step")
                .moments()
                .slot("s", Spec.Sign.SIGNED)
                .slotOfParameter("p0")
                .slot("d", Scope.SESSION, Spec.Sign.UNSIGNED, new Expr.Hyper("d0"))
                .slot("d_max", Scope.SESSION, Spec.Sign.UNSIGNED, new Expr.Hyper("d0"))
                .slot("d_numerator", Scope.SESSION, Spec.Sign.SIGNED, 0)
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        boolean decoupled = in.flag("decoupled");
        var g = decoupled ? in.grad() : in.decayedGrad();
        var beta1 = in.hyper("beta1");
        var beta2 = in.hyper("beta2");
        var beta3 = Expr.select(Inputs.positive(in.hyper("beta3")), in.hyper("beta3"), Inputs.sqrt(beta2));
        var expAvg = in.slot("exp_avg");
        var expAvgSq = in.slot("exp_avg_sq");
        var sum = in.slot("s");
        var numerator = in.slot("d_numerator");
        var d = in.slot("d").old();
        var rate = d.times(in.flag("bias_correction") ? in.hyper("lr").times(correction(in)) : in.hyper("lr"));
        var scale = d.over(in.hyper("d0"));
        var way = in.slot("p0").old().minus(in.param());
        var n = beta3.times(numerator.old()).plus(scale.times(rate).times(Inputs.dot(Scope.SESSION, g, way)));
        var m = beta1.times(expAvg.old()).plus(d.times(Inputs.one().minus(beta1)).times(g));
        var v = beta2.times(expAvgSq.old()).plus(d.squared().times(Inputs.one().minus(beta2)).times(g.squared()));
        var s = beta3.times(sum.old()).plus(scale.times(in.flag("safeguard_warmup") ? d : rate).times(g));
        var estimate = Estimate.of(in, n, Inputs.sum(Scope.SESSION, Inputs.abs(s)));
        var root = Inputs.sqrt(v).plus(estimate.d.times(in.hyper("eps")));
        var adam = rate.negate().times(m.over(root));
        var step = decoupled ? in.decoupledDecay(adam, rate) : adam;
        return List.of(
                in.delta(Expr.select(estimate.exists, step, Expr.constant(0))),
                expAvg.becomes(m),
                expAvgSq.becomes(v),
                sum.becomes(s),
                in.slot("d").becomes(estimate.d),
                in.slot("d_max").becomes(estimate.max),
                numerator.becomes(n));
    }

    private static Expr correction(Inputs in) {
        var ofSquares = Inputs.sqrt(Inputs.biasCorrection(in.hyper("beta2"), in.sessionT()));
        return ofSquares.over(Inputs.biasCorrection(in.hyper("beta1"), in.sessionT()));
    }

    private record Estimate(Expr exists, Expr d, Expr max) {
        static Estimate of(Inputs in, Expr numerator, Expr denominator) {
            var exists = Inputs.positive(denominator);
            var d = in.slot("d").old();
            var max = in.slot("d_max").old();
            var estimate = in.hyper("d_coef").times(numerator).over(denominator);
            var largest = Inputs.max(max, estimate);
            var grown = Expr.select(Inputs.equal(d, in.hyper("d0")), Inputs.max(d, estimate), d);
            var growth = in.hyper("growth_rate");
            var bounded = Expr.select(Inputs.positive(growth), Inputs.min(largest, grown.times(growth)), largest);
            return new Estimate(exists, Expr.select(exists, bounded, d), Expr.select(exists, largest, max));
        }
    }
}
