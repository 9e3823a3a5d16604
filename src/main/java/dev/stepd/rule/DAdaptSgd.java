package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Scope;
import java.util.List;

/// Gradient descent with D-adaptation: dual averaging from the starting point by a rate that estimates the distance to the
/// solution, and momentum towards it.
///
///     k = d*lr / |g of the first step|        g <- g + wd*p        n <- n + k*<g, s> with the old s        s <- s + k*g
///     d <- max(d, min(2*n / |s|, d*growth_rate))        z <- x0 - s        delta = (1 - mu)*(z - p)
///
/// Sums and norms are over all tensors. The first gradient that is not 0 counts as the first. State: 12 bytes a parameter
/// and three numbers. Defazio, Mishchenko, *Learning-rate-free learning by D-adaptation*, 2023, arXiv:2301.07733,
/// Algorithm 4; follows facebookresearch/dadaptation.
final class DAdaptSgd implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("dadapt_sgd", "Gradient descent with D-adaptation",
                        "Defazio, Mishchenko: Learning-rate-free learning by D-adaptation, 2023, arXiv:2301.07733")
                .follows("facebookresearch/dadaptation@c984980 dadaptation/dadapt_sgd.py")
                .shared("lr", 1.0, Hyperparameter.Range.NON_NEGATIVE, "factor of the estimated rate")
                .option("momentum", 0, Hyperparameter.Range.DECAY, "how much of the way to the averaged point is left")
                .weightDecay(0)
                .shared("d0", 1e-6, Hyperparameter.Range.POSITIVE, "first estimate")
                .sharedOption("growth_rate", 0, Hyperparameter.Range.NON_NEGATIVE, "most the estimate grows by in a step")
                .slot("s", Spec.Sign.SIGNED)
                .slotOfParameter("x0")
                .slotOfParameter("z")
                .slot("d", Scope.SESSION, Spec.Sign.UNSIGNED, new Expr.Hyper("d0"))
                .slot("g0_norm", Scope.SESSION, Spec.Sign.UNSIGNED, 0)
                .slot("numerator_weighted", Scope.SESSION, Spec.Sign.SIGNED, 0)
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var g = in.decayedGrad();
        var sum = in.slot("s");
        var start = in.slot("x0").old();
        var distance = in.slot("d");
        var firstNorm = in.slot("g0_norm");
        var numerator = in.slot("numerator_weighted");
        var zero = Expr.constant(0);
        var norm = Expr.select(
                Inputs.positive(firstNorm.old()), firstNorm.old(), Inputs.norm(Scope.SESSION, in.grad()));
        var rate = Expr.select(Inputs.positive(norm), distance.old().times(in.hyper("lr")).over(norm), zero);
        var n = numerator.old().plus(rate.times(Inputs.dot(Scope.SESSION, g, sum.old())));
        var s = sum.old().plus(rate.times(g));
        var length = Inputs.norm(Scope.SESSION, s);
        var estimate = Expr.select(Inputs.positive(length), n.times(2).over(length), zero);
        var towards = Inputs.one().minus(in.hyper("momentum"));
        return List.of(
                in.delta(towards.times(start.minus(in.param()).minus(s))),
                sum.becomes(s),
                in.slot("z").becomes(start.minus(s)),
                distance.becomes(DAdaptAdam.grown(in, distance.old(), estimate)),
                firstNorm.becomes(norm),
                numerator.becomes(n));
    }
}
