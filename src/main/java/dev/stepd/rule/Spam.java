package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import java.util.List;

/// Adam that cuts spikes of the gradient, and now and then forgets its moments and warms up again.
///
///     T steps of the session, D = reset_interval, N = warmup_steps        at T mod D = 0: m <- 0, v <- 0
///     c = N + T before the first reset, then T mod D        w = c < N ? 1 - 0.99*(1 + cos(pi*c / (N + 1))) / 2 : 1
///     once T and T mod D reach grad_accu_steps: g <- sign(g)*sqrt(threshold*v) where g^2 > threshold*v
///     m, v as Adam        u = w*lr*sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + eps)        p <- (p - u)*(1 - lr*wd)
///
/// The corrections go on with the tensor's own `t`. State: 8 bytes a parameter; the sparse masks of the paper are left
/// out. Huang et al., *SPAM: spike-aware Adam with momentum reset for stable LLM training*, 2025, arXiv:2501.06842;
/// follows TianjinYellow/SPAM-Optimizer.
final class Spam implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("spam", "Adam that cuts spikes and resets momentum",
                        "Huang, Zhu, Jin, Liu, Wang, Liu: SPAM: spike-aware Adam with momentum reset for stable LLM training, ICLR 2025, arXiv:2501.06842")
                .follows("TianjinYellow/SPAM-Optimizer@e8185fb galore_torch/SPAM.py (dense, no density mask)")
                .lr(1e-3)
                .betas(0.9, 0.999)
                .eps(1e-6)
                .weightDecay(0)
                .real("warmup_steps", 150, Hyperparameter.Range.NON_NEGATIVE, "steps of warm-up after a reset")
                .option("threshold", 5000, Hyperparameter.Range.NON_NEGATIVE, "how often its mean a squared gradient may be")
                .option("reset_interval", 500, Hyperparameter.Range.NON_NEGATIVE, "steps from one reset to the next")
                .real("grad_accu_steps", 20, Hyperparameter.Range.NON_NEGATIVE, "steps after a reset in which nothing is cut")
                .moments()
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var beta1 = in.hyper("beta1");
        var beta2 = in.hyper("beta2");
        var expAvg = in.slot("exp_avg");
        var expAvgSq = in.slot("exp_avg_sq");
        var resets = Inputs.equal(sinceReset(in), Expr.constant(0));
        var before = Expr.select(resets, Expr.constant(0), expAvgSq.old());
        var g = in.on("threshold") ? cut(in, before) : in.grad();
        var m = Inputs.ema(Expr.select(resets, Expr.constant(0), expAvg.old()), g, beta1);
        var v = Inputs.ema(before, g.squared(), beta2);
        var rate = in.hyper("lr").times(Inputs.sqrt(in.biasCorrection(beta2))).over(in.biasCorrection(beta1));
        var step = warmth(in).times(rate).negate().times(m.over(Inputs.sqrt(v).plus(in.hyper("eps"))));
        var share = in.hyper("lr").times(in.hyper("weight_decay"));
        return List.of(
                in.delta(in.on("weight_decay") ? in.decayedAfter(step, share) : step),
                expAvg.becomes(m),
                expAvgSq.becomes(v));
    }

    /// NaN without resets, which no comparison holds for.
    private static Expr sinceReset(Inputs in) {
        return Inputs.remainder(in.sessionT(), in.hyper("reset_interval"));
    }

    private static Expr cut(Inputs in, Expr square) {
        var g = in.grad();
        var threshold = in.hyper("threshold");
        var waiting = in.hyper("grad_accu_steps");
        var bound = threshold.times(square);
        var spike = Inputs.greater(g.squared(), bound);
        var cut = Expr.select(spike, Inputs.sign(g).times(Inputs.sqrt(bound)), g);
        var never = Inputs.equal(in.hyper("reset_interval"), Expr.constant(0));
        var late = Inputs.or(never, Inputs.atLeast(sinceReset(in), waiting));
        var settled = Inputs.and(Inputs.atLeast(in.sessionT(), waiting), late);
        return Expr.select(Inputs.and(settled, Inputs.greater(threshold, Expr.constant(0))), cut, g);
    }

    private static Expr warmth(Inputs in) {
        var steps = in.hyper("warmup_steps");
        var interval = in.hyper("reset_interval");
        var began = Inputs.atLeast(in.sessionT(), Inputs.max(interval, Expr.constant(2)));
        var done = Expr.select(Inputs.and(began, Inputs.greater(interval, Expr.constant(0))), sinceReset(in), steps);
        var angle = done.times(Math.PI).over(steps.plus(1));
        var missing = Inputs.cos(angle).plus(1).times(0.99).over(2);
        return Expr.select(Inputs.atLeast(done, steps), Inputs.one(), Inputs.one().minus(missing));
    }
}
