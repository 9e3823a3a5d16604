package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Scope;
import java.util.List;

/// Adam with D-adaptation: `d` is a lower bound of the distance to the solution, and the rate.
///
///     k = d*lr, with bias_correction times sqrt(1 - b2^t) / (1 - b1^t)        g <- g + wd*p, unless decoupled
///     q = sqrt(b2)        n <- q*n + (1 - q)*k*<g, s / (sqrt(v) + eps)> with the old s and v
///     m <- b1*m + k*(1 - b1)*g        v <- b2*v + (1 - b2)*g^2        s <- q*s + k*(1 - q)*g
///     d <- max(d, min(n / ((1 - q)*sum|s|), d*growth_rate))
///     delta = -m / (sqrt(v) + eps), decoupled also -wd*k*p
///
/// Sums are over all tensors; while s is 0 everywhere there is no step. State: 12 bytes a parameter and two numbers.
/// Defazio, Mishchenko, *Learning-rate-free learning by D-adaptation*, 2023, arXiv:2301.07733, Algorithm 5; follows
/// facebookresearch/dadaptation.
final class DAdaptAdam implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("dadapt_adam", "Adam with D-adaptation",
                        "Defazio, Mishchenko: Learning-rate-free learning by D-adaptation, 2023, arXiv:2301.07733")
                .follows("facebookresearch/dadaptation@c984980 dadaptation/dadapt_adam.py")
                .shared("lr", 1.0, Hyperparameter.Range.NON_NEGATIVE, "factor of the estimated rate")
                .shared("beta1", 0.9, Hyperparameter.Range.DECAY, "how much of the mean gradient is kept each step")
                .shared("beta2", 0.999, Hyperparameter.Range.DECAY, "how much of the mean squared gradient is kept each step")
                .eps(1e-8)
                .weightDecay(0)
                .flag("decoupled", false, "decay the parameter as AdamW does, not the gradient")
                .flag("bias_correction", false, "correct the rate as Adam does")
                .shared("d0", 1e-6, Hyperparameter.Range.POSITIVE, "first estimate")
                .sharedOption("growth_rate", 0, Hyperparameter.Range.NON_NEGATIVE, "most the estimate grows by in a step")
                .moments()
                .slot("s", Spec.Sign.SIGNED)
                .slot("d", Scope.SESSION, Spec.Sign.UNSIGNED, new Expr.Hyper("d0"))
                .slot("numerator_weighted", Scope.SESSION, Spec.Sign.SIGNED, 0)
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        boolean decoupled = in.flag("decoupled");
        var g = decoupled ? in.grad() : in.decayedGrad();
        var beta1 = in.hyper("beta1");
        var beta2 = in.hyper("beta2");
        var q = Inputs.sqrt(beta2);
        var expAvg = in.slot("exp_avg");
        var expAvgSq = in.slot("exp_avg_sq");
        var sum = in.slot("s");
        var numerator = in.slot("numerator_weighted");
        var distance = in.slot("d");
        var rate = distance.old().times(in.flag("bias_correction") ? in.hyper("lr").times(correction(in)) : in.hyper("lr"));
        var v = Inputs.ema(expAvgSq.old(), g.squared(), beta2);
        var m = beta1.times(expAvg.old()).plus(rate.times(Inputs.one().minus(beta1)).times(g));
        var s = q.times(sum.old()).plus(rate.times(Inputs.one().minus(q)).times(g));
        var direction = sum.old().over(Inputs.sqrt(expAvgSq.old()).plus(in.hyper("eps")));
        var n = Inputs.ema(numerator.old(), rate.times(Inputs.dot(Scope.SESSION, g, direction)), q);
        var length = Inputs.sum(Scope.SESSION, Inputs.abs(s));
        var moves = Inputs.positive(length);
        var estimate = n.over(Inputs.one().minus(q).times(length));
        var d = Expr.select(moves, grown(in, distance.old(), estimate), distance.old());
        var adam = m.over(Inputs.sqrt(v).plus(in.hyper("eps"))).negate();
        var step = decoupled ? in.decoupledDecay(adam, rate) : adam;
        return List.of(
                in.delta(Expr.select(moves, step, Expr.constant(0))),
                expAvg.becomes(m),
                expAvgSq.becomes(v),
                sum.becomes(s),
                distance.becomes(d),
                numerator.becomes(n));
    }

    private static Expr correction(Inputs in) {
        var ofSquares = Inputs.sqrt(Inputs.biasCorrection(in.hyper("beta2"), in.sessionT()));
        return ofSquares.over(Inputs.biasCorrection(in.hyper("beta1"), in.sessionT()));
    }

    /// The larger of the distance and its new estimate, within `growth_rate`.
    static Expr grown(Inputs in, Expr distance, Expr estimate) {
        var growth = in.hyper("growth_rate");
        var bounded = Inputs.min(estimate, distance.times(growth));
        return Inputs.max(distance, Expr.select(Inputs.positive(growth), bounded, estimate));
    }
}
