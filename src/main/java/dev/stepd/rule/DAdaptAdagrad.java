package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import java.util.List;

/// Adagrad with D-adaptation: dual averaging from the starting point by a rate that estimates the distance to the solution,
/// and momentum towards it.
///
///     g <- g + wd*p        k = d*lr        a <- a + g^2        s <- s + k*g        r = sqrt(a) + eps
///     S <- S + the change of sum(s^2/r)        L <- L + the change of sum|s|        G <- G + k^2*sum(g^2/r)
///     d <- max(d, min((S - G) / L, d*growth_rate))        delta = (1 - mu)*(x0 - s/r - p)
///
/// Sums are over all tensors and f64. State: 12 bytes a parameter, `a` starting at 1e-6, and four numbers. Defazio,
/// Mishchenko, *Learning-rate-free learning by D-adaptation*, 2023, arXiv:2301.07733, Algorithm 3; follows
/// facebookresearch/dadaptation.
final class DAdaptAdagrad implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("dadapt_adagrad", "Adagrad with D-adaptation",
                        "Defazio, Mishchenko: Learning-rate-free learning by D-adaptation, 2023, arXiv:2301.07733")
                .follows("facebookresearch/dadaptation@c984980 dadaptation/dadapt_adagrad.py")
                .shared("lr", 1.0, Hyperparameter.Range.NON_NEGATIVE, "factor of the estimated rate")
                .option("momentum", 0, Hyperparameter.Range.DECAY, "how much of the way to the averaged point is left")
                .weightDecay(0)
                .eps(0)
                .shared("d0", 1e-6, Hyperparameter.Range.POSITIVE, "first estimate")
                .sharedOption("growth_rate", 0, Hyperparameter.Range.NON_NEGATIVE, "most the estimate grows by in a step")
                .slot("alpha_k", Spec.Sign.UNSIGNED, Expr.constant(1e-6))
                .fine("steps are divided by it alone, and codes would make it 0")
                .slot("sk", Spec.Sign.SIGNED)
                .slotOfParameter("x0")
                .slot("d", Scope.SESSION, Spec.Sign.UNSIGNED, new Expr.Hyper("d0"))
                .slot("sksq_weighted", Scope.SESSION, Spec.Sign.UNSIGNED, 0)
                .slot("skl1", Scope.SESSION, Spec.Sign.UNSIGNED, 0)
                .slot("gsq_weighted", Scope.SESSION, Spec.Sign.UNSIGNED, 0)
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var g = in.decayedGrad();
        var squares = in.slot("alpha_k");
        var sum = in.slot("sk");
        var distance = in.slot("d");
        var ofSums = in.slot("sksq_weighted");
        var ofLengths = in.slot("skl1");
        var ofGrads = in.slot("gsq_weighted");
        var rate = distance.old().times(in.hyper("lr"));
        var a = squares.old().plus(g.squared());
        var s = sum.old().plus(rate.times(g));
        var sums = ofSums.old().plus(weighted(in, s, a).minus(weighted(in, sum.old(), squares.old())));
        var lengths = ofLengths.old().plus(length(s).minus(length(sum.old())));
        var grads = ofGrads.old().plus(rate.squared().times(weighted(in, g, a)));
        var estimate = Expr.select(Inputs.positive(lengths), sums.minus(grads).over(lengths), Expr.constant(0));
        var way = in.slot("x0").old().minus(in.param()).minus(s.over(Inputs.sqrt(a).plus(in.hyper("eps"))));
        return List.of(
                in.delta(Inputs.one().minus(in.hyper("momentum")).times(way)),
                squares.becomes(a),
                sum.becomes(s),
                distance.becomes(DAdaptAdam.grown(in, distance.old(), estimate)),
                ofSums.becomes(sums),
                ofLengths.becomes(lengths),
                ofGrads.becomes(grads));
    }

    /// `sum(x^2 / (sqrt(a) + eps))`
    private static Expr weighted(Inputs in, Expr x, Expr a) {
        var root = Inputs.sqrt(a.as(Type.F64)).plus(in.hyper("eps"));
        return Inputs.sum(Scope.SESSION, x.as(Type.F64).squared().over(root));
    }

    private static Expr length(Expr x) {
        return Inputs.sum(Scope.SESSION, Inputs.abs(x));
    }
}
