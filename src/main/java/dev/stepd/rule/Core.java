package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Scope;
import java.util.ArrayList;
import java.util.List;

/// CoRe (continual resilient): Adam's direction with the step sizes of resilient propagation. Parameters that mattered most of
/// late may be frozen.
///
///     b <- beta1_final + (beta1_initial - beta1_final)*exp(-((t - 1)/beta1_step)^2)
///     h <- b2*h + (1 - b2)*g^2        m' = b*m + (1 - b)*g        q = m'*m*P        m <- m'
///     s <- s*eta_plus if q > 0, s*eta_minus if q < 0, between the bounds
///     u = P*s*m'/(1 - b^t) / (sqrt(h/(1 - b2^t)) + eps), with b2 below 0 P*s*sign(m')        delta = -wd*|u|*p - u
///
/// P is 1, and 0 of a frozen parameter. With a `score_history` H above 0: c <- d*c + m'*u/H, and after H steps the `frozen*n` of
/// a tensor's n parameters that have the largest c, with those that come up to 0.999999 of the least of them, are frozen and
/// d is 1 - 1/H; else d is 1. State: 12 bytes a parameter, 4 more with scores; step sizes start at `lr`, which has no further
/// use. Eckhoff, Reiher, *CoRe optimizer: an all-in-one solution for machine learning*, 2023, arXiv:2307.15663; follows
/// ReiherGroup/CoRe_optimizer.
final class Core implements Rule {
    private static final Hyperparameter.Range DECAY_OR_SIGN = new Hyperparameter.Range(-1, 1, false);
    /// What parameters of equal scores may differ by in rounding.
    private static final double NEARLY = 0.999999;

    @Override
    public Spec spec() {
        return Spec.of("core", "Continual resilient optimizer",
                        "Eckhoff, Reiher: CoRe optimizer: an all-in-one solution for machine learning, 2023, arXiv:2307.15663")
                .follows("ReiherGroup/CoRe_optimizer@948fb93 core_optimizer/core_optimizer.py v1.1.0")
                .lr(1e-3)
                .stepSizes(1e-6, 1e-2)
                .real("eta_minus", 0.7375, Hyperparameter.Range.UNIT, "what a step size shrinks by where the mean turns")
                .real("eta_plus", 1.2, Hyperparameter.Range.GROWTH, "what a step size grows by where the mean keeps its sign")
                .decay("beta1_initial", 0.7375, "how much of the mean gradient is kept at first")
                .decay("beta1_final", 0.8125, "how much of the mean gradient is kept in the end")
                .real("beta1_step", 250, Hyperparameter.Range.POSITIVE, "steps in which the one becomes the other")
                .real("beta2", 0.99, DECAY_OR_SIGN,
                        "how much of the mean squared gradient is kept each step; below 0 only the sign of the mean counts")
                .eps(1e-8)
                .weightDecay(0.1)
                .option("score_history", 0, Hyperparameter.Range.NON_NEGATIVE, "steps that scores look back on; 0 keeps none")
                .option("frozen", 0, Hyperparameter.Range.UNIT, "share of a tensor's parameters, those of the largest scores, that stand still")
                .maximize()
                .moments()
                .slot("step_size", Spec.Sign.UNSIGNED, new Expr.Hyper("lr"))
                .fine("it grows by factors that codes would round away")
                .slot("score", Spec.Sign.SIGNED)
                .build();
    }

    @Override
    public void check(Settings settings) {
        settings.checkOrder("step_size_min", "step_size_max");
        settings.checkZeroOrAtLeast("score_history", 1);
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var expAvg = in.slot("exp_avg");
        var stepSize = in.slot("step_size");
        var beta1 = beta1(in);
        var m = Inputs.ema(expAvg.old(), in.grad(), beta1);
        var writes = new ArrayList<Assignment>();
        var direction = direction(in, m, beta1, writes);
        var s = resized(in, stepSize.old(), unlessFrozen(in, m.times(expAvg.old())));
        var u = unlessFrozen(in, direction).times(s);
        if (in.on("score_history")) {
            writes.add(in.slot("score").becomes(scored(in, m.times(u))));
        }
        var delta = in.on("weight_decay")
                ? in.hyper("weight_decay").times(Inputs.abs(u)).times(in.param()).negate().minus(u)
                : u.negate();
        writes.addAll(List.of(in.delta(delta), expAvg.becomes(m), stepSize.becomes(s)));
        return writes;
    }

    private static Expr beta1(Inputs in) {
        var last = in.hyper("beta1_final");
        var since = in.t().minus(1).over(in.hyper("beta1_step"));
        return last.plus(in.hyper("beta1_initial").minus(last).times(Inputs.exp(since.squared().negate())));
    }

    private static Expr direction(Inputs in, Expr m, Expr beta1, List<Assignment> writes) {
        var beta2 = in.hyper("beta2");
        var expAvgSq = in.slot("exp_avg_sq");
        var onlySign = Inputs.greater(Expr.constant(0), beta2);
        var h = Inputs.ema(expAvgSq.old(), in.grad().squared(), beta2);
        writes.add(expAvgSq.becomes(Expr.select(onlySign, expAvgSq.old(), h)));
        var root = Inputs.sqrt(h.over(in.biasCorrection(beta2))).plus(in.hyper("eps"));
        return Expr.select(onlySign, Inputs.sign(m), m.over(in.biasCorrection(beta1)).over(root));
    }

    private static Expr resized(Inputs in, Expr old, Expr agreement) {
        var shrunk = Expr.select(Inputs.positive(agreement.negate()), in.hyper("eta_minus").times(old), old);
        var scaled = Expr.select(Inputs.positive(agreement), in.hyper("eta_plus").times(old), shrunk);
        return Inputs.min(Inputs.max(scaled, in.hyper("step_size_min")), in.hyper("step_size_max"));
    }

    /// How many parameters of a tensor are to be frozen.
    private static Expr frozenCount(Inputs in) {
        return Inputs.floor(in.hyper("frozen").times(Inputs.count(Scope.TENSOR)));
    }

    /// Whether there are scores and they have seen enough to freeze anything.
    private static Expr ripe(Inputs in) {
        var history = in.hyper("score_history");
        return Inputs.and(Inputs.positive(history), Inputs.atLeast(in.t().minus(1), history));
    }

    /// The value, and 0 of a frozen parameter.
    private static Expr unlessFrozen(Inputs in, Expr value) {
        if (!in.on("score_history") || !in.on("frozen")) {
            return value;
        }
        var score = in.slot("score").old();
        var least = Inputs.ranked(Scope.TENSOR, score, frozenCount(in)); // of none there is no least: NaN, which no score reaches
        var frozen = Inputs.atLeast(score, least.times(NEARLY));
        var plasticity = Expr.select(frozen, Expr.constant(score.type(), 0), Expr.constant(score.type(), 1));
        return Expr.select(ripe(in), value.times(plasticity), value);
    }

    private static Expr scored(Inputs in, Expr gain) {
        var score = in.slot("score").old();
        var history = in.hyper("score_history");
        var share = Inputs.one().over(history);
        var forgotten = Expr.select(Inputs.positive(frozenCount(in)), Inputs.one().minus(share), Inputs.one());
        var kept = in.on("frozen") ? score.times(Expr.select(ripe(in), forgotten, Inputs.one())) : score;
        return Expr.select(Inputs.positive(history), kept.plus(gain.times(share)), score);
    }
}
