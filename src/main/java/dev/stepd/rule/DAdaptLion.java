package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Scope;
import java.util.List;

/// Lion with D-adaptation: `d` is a lower bound of the distance to the solution, and the rate.
///
///     k = d*lr        q = sqrt(b2)        u = sign(b1*m + (1 - b1)*g)        m <- b2*m + k*(1 - b2)*g
///     n <- q*n + (1 - q)*k*<u, s> with the old s        s <- q*s + k*(1 - q)*u        d <- max(d, n / ((1 - q)*sum|s|))
///     delta = -k*wd*p - k*u
///
/// Sums are over all tensors. State: 8 bytes a parameter and two numbers. Defazio, Mishchenko, *Learning-rate-free learning
/// by D-adaptation*, 2023, arXiv:2301.07733; follows facebookresearch/dadaptation.
final class DAdaptLion implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("dadapt_lion", "Lion with D-adaptation",
                        "Defazio, Mishchenko: Learning-rate-free learning by D-adaptation, 2023, arXiv:2301.07733")
                .follows("facebookresearch/dadaptation@c984980 dadaptation/dadapt_lion.py")
                .shared("lr", 1.0, Hyperparameter.Range.NON_NEGATIVE, "factor of the estimated rate")
                .decay("beta1", 0.9, "how much of the mean the step keeps")
                .shared("beta2", 0.999, Hyperparameter.Range.DECAY, "how much of the mean the state keeps")
                .weightDecay(0)
                .shared("d0", 1e-6, Hyperparameter.Range.POSITIVE, "first estimate")
                .slot("exp_avg", Spec.Sign.SIGNED)
                .slot("s", Spec.Sign.SIGNED)
                .slot("d", Scope.SESSION, Spec.Sign.UNSIGNED, new Expr.Hyper("d0"))
                .slot("numerator_weighted", Scope.SESSION, Spec.Sign.SIGNED, 0)
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var g = in.grad();
        var beta2 = in.hyper("beta2");
        var q = Inputs.sqrt(beta2);
        var expAvg = in.slot("exp_avg");
        var sum = in.slot("s");
        var distance = in.slot("d");
        var numerator = in.slot("numerator_weighted");
        var rate = distance.old().times(in.hyper("lr"));
        var u = Inputs.sign(Inputs.ema(expAvg.old(), g, in.hyper("beta1")));
        var m = beta2.times(expAvg.old()).plus(rate.times(Inputs.one().minus(beta2)).times(g));
        var s = q.times(sum.old()).plus(rate.times(Inputs.one().minus(q)).times(u));
        var n = Inputs.ema(numerator.old(), rate.times(Inputs.dot(Scope.SESSION, u, sum.old())), q);
        var length = Inputs.sum(Scope.SESSION, Inputs.abs(s));
        var estimate = n.over(Inputs.one().minus(q).times(length));
        var largest = Inputs.max(distance.old(), estimate);
        return List.of(
                in.delta(in.decoupledDecay(rate.negate().times(u), rate)),
                expAvg.becomes(m),
                sum.becomes(s),
                distance.becomes(Expr.select(Inputs.positive(length), largest, distance.old())),
                numerator.becomes(n));
    }
}
