package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Scope;
import java.util.ArrayList;
import java.util.List;

/// Adam on gradients that are cut at a running mean of their largest element and scaled by the history of their norm,
/// with resets.
///
///     T steps of the session, t steps of the tensor since its reset        q = 1 without total_T,
///     else eta_min + (1 - eta_min)*(1 + cos(pi*T / (total_T + 1))) / 2
///     G = max|g|        M <- c3*M + (1 - c3)*G, M' = M / (1 - c3^t)        g <- g/G*M' where |g| > M'
///     N = |g|           a <- c1*q*a + (1 - c1*q)*N, a' = a / (1 - (c1*q)^t)
///                       b <- c2*b + (1 - c2)*N^2, b' = b / (1 - c2^t)
///     g <- g/N * a' / (sqrt(b') + eps)        m, v, delta as AdamW with b1*q for b1, c1..c3 = gamma1..gamma3
///
/// At `T mod reset_interval = 0` the step is made of the old moments with the corrections of t = 1; then m and v are
/// dropped and t goes on from 1. State: 8 bytes a parameter, 4 more with amsgrad, and four numbers a tensor. Huang et
/// al., *Stable-SPAM: how to train in 4-bit more stably than 16-bit Adam*, 2025, arXiv:2502.17055; follows
/// TianjinYellow/StableSPAM.
final class StableSpam implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("stable_spam", "Adam on gradients of steady size",
                        "Huang, Hu, Zhang, Jin, Li, Shen, Chen, Liu, Wen, Wang, Liu: Stable-SPAM: how to train in 4-bit more stably than 16-bit Adam, 2025, arXiv:2502.17055")
                .follows("TianjinYellow/StableSPAM@6a66da1 galore_torch/stablespam.py")
                .lr(1e-3)
                .betas(0.9, 0.999)
                .eps(1e-8)
                .weightDecay(0)
                .flag("amsgrad", false, "divide by the largest second moment so far")
                .decay("gamma1", 0.7, "how much of the mean norm is kept each step")
                .decay("gamma2", 0.9, "how much of the mean squared norm is kept each step")
                .decay("gamma3", 0.999, "how much of the mean largest element is kept each step")
                .option("total_T", 0, Hyperparameter.Range.NON_NEGATIVE, "steps over which beta1 and gamma1 fall")
                .real("eta_min", 0.5, Hyperparameter.Range.UNIT, "the factor that beta1 and gamma1 fall to")
                .option("reset_interval", 1000, Hyperparameter.Range.NON_NEGATIVE, "steps from one reset to the next")
                .moments()
                .slot("max_exp_avg_sq", Spec.Sign.UNSIGNED)
                .slot("m_norm", Scope.TENSOR, Spec.Sign.UNSIGNED, 0)
                .slot("v_norm", Scope.TENSOR, Spec.Sign.UNSIGNED, 0)
                .slot("m_max", Scope.TENSOR, Spec.Sign.UNSIGNED, 0)
                .slot("step", Scope.TENSOR, Spec.Sign.UNSIGNED, 0)
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var writes = new ArrayList<Assignment>();
        var count = in.slot("step");
        var t = count.old().plus(1);
        var g = scaled(in, cut(in, t, writes), t, writes);
        var expAvg = in.slot("exp_avg");
        var expAvgSq = in.slot("exp_avg_sq");
        var beta1 = in.hyper("beta1").times(falling(in));
        var beta2 = in.hyper("beta2");
        var m = Inputs.ema(expAvg.old(), g, beta1);
        var v = Inputs.ema(expAvgSq.old(), g.squared(), beta2);
        var divisor = v;
        if (in.flag("amsgrad")) {
            var maxExpAvgSq = in.slot("max_exp_avg_sq");
            divisor = Inputs.max(maxExpAvgSq.old(), v);
            writes.add(maxExpAvgSq.becomes(divisor));
        }
        var zero = Expr.constant(0);
        var resets = Inputs.equal(Inputs.remainder(in.sessionT(), in.hyper("reset_interval")), zero);
        var counted = Expr.select(resets, Inputs.one(), t);
        var rate = in.hyper("lr").over(correction(beta1, counted));
        var root = Inputs.sqrt(divisor).over(Inputs.sqrt(correction(beta2, counted))).plus(in.hyper("eps"));
        writes.addFirst(in.delta(in.decoupledDecay(rate.negate().times(m.over(root)))));
        writes.add(expAvg.becomes(Expr.select(resets, zero, m)));
        writes.add(expAvgSq.becomes(Expr.select(resets, zero, v)));
        writes.add(count.becomes(counted));
        return writes;
    }

    /// The gradient with no element above the mean of largest ones.
    private static Expr cut(Inputs in, Expr t, List<Assignment> writes) {
        var g = in.grad();
        var gamma = in.hyper("gamma3");
        var mMax = in.slot("m_max");
        var largest = Inputs.largest(Scope.TENSOR, Inputs.abs(g));
        var mean = Inputs.ema(mMax.old(), largest, gamma);
        writes.add(mMax.becomes(mean));
        var bound = mean.over(correction(gamma, t));
        return Expr.select(Inputs.greater(Inputs.abs(g), bound), g.times(bound.over(largest)), g);
    }

    /// The gradient with the norm that its history suggests.
    private static Expr scaled(Inputs in, Expr g, Expr t, List<Assignment> writes) {
        var gamma1 = in.hyper("gamma1").times(falling(in));
        var gamma2 = in.hyper("gamma2");
        var mNorm = in.slot("m_norm");
        var vNorm = in.slot("v_norm");
        var norm = Inputs.norm(Scope.TENSOR, g);
        var mean = Inputs.ema(mNorm.old(), norm, gamma1);
        var square = Inputs.ema(vNorm.old(), norm.squared(), gamma2);
        writes.add(mNorm.becomes(mean));
        writes.add(vNorm.becomes(square));
        var root = Inputs.sqrt(square.over(correction(gamma2, t))).plus(in.hyper("eps"));
        var size = mean.over(correction(gamma1, t)).over(root);
        return Expr.select(Inputs.greater(norm, Expr.constant(0)), g.over(norm).times(size), g);
    }

    private static Expr falling(Inputs in) {
        var total = in.hyper("total_T");
        var least = in.hyper("eta_min");
        var cosine = Inputs.cos(in.sessionT().times(Math.PI).over(total.plus(1)));
        var factor = least.plus(Inputs.one().minus(least).times(cosine.plus(1)).over(2));
        return Expr.select(Inputs.greater(total, Expr.constant(0)), factor, Inputs.one());
    }

    private static Expr correction(Expr beta, Expr t) {
        return Inputs.one().minus(Inputs.pow(beta, t));
    }
}
