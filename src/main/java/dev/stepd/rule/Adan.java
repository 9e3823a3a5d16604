package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Scope;
import java.util.List;

/// Adaptive Nesterov momentum: means of the gradient, of its change, and of the square of both together. The betas are the
/// code's, one minus the paper's.
///
///     g <- min(1, max_grad_norm / (|g| + eps)) * g, over all tensors        d = g - g_before, 0 on the first step
///     m <- b1*m + (1 - b1)*g        q <- b2*q + (1 - b2)*d        n <- b3*n + (1 - b3)*(g + b2*d)^2
///     r = sqrt(n) / sqrt(1 - b3^t) + eps        u = lr / (1 - b1^t) * m/r + lr*b2 / (1 - b2^t) * q/r
///     proximal: p <- (p - u) / (1 + lr*wd)        no_prox: p <- (1 - lr*wd)*p - u
///
/// State: 16 bytes a parameter; `neg_pre_grad` is minus the clipped gradient. Xie et al., *Adan: adaptive Nesterov momentum
/// algorithm*, 2022, arXiv:2208.06677, Algorithm 1; follows sail-sg/Adan (optax weighs d by `1 - b2`).
final class Adan implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("adan", "Adaptive Nesterov momentum",
                        "Xie, Zhou, Li, Lin, Yan: Adan: adaptive Nesterov momentum algorithm for faster optimizing deep models, 2022, arXiv:2208.06677")
                .follows("sail-sg/Adan@2c65bea adan.py (foreach=False)")
                .lr(1e-3)
                .decay("beta1", 0.98, "how much of the mean gradient is kept each step")
                .decay("beta2", 0.92, "how much of the mean change of the gradient is kept each step")
                .decay("beta3", 0.99, "how much of the mean square is kept each step")
                .eps(1e-8)
                .weightDecay(0)
                .flag("no_prox", false, "decay as AdamW does instead of by a proximal step")
                .option("max_grad_norm", 0, Hyperparameter.Range.NON_NEGATIVE, "norm over all tensors the gradient is cut to")
                .slot("exp_avg", Spec.Sign.SIGNED)
                .slot("exp_avg_diff", Spec.Sign.SIGNED)
                .slot("exp_avg_sq", Spec.Sign.UNSIGNED)
                .slot("neg_pre_grad", Spec.Sign.SIGNED)
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var g = clipped(in);
        var lr = in.hyper("lr");
        var beta1 = in.hyper("beta1");
        var beta2 = in.hyper("beta2");
        var beta3 = in.hyper("beta3");
        var expAvg = in.slot("exp_avg");
        var expAvgDiff = in.slot("exp_avg_diff");
        var expAvgSq = in.slot("exp_avg_sq");
        var negPreGrad = in.slot("neg_pre_grad");
        var d = Expr.select(in.first(), g.minus(g), g.plus(negPreGrad.old()));
        var m = Inputs.ema(expAvg.old(), g, beta1);
        var q = Inputs.ema(expAvgDiff.old(), d, beta2);
        var n = Inputs.ema(expAvgSq.old(), g.plus(beta2.times(d)).squared(), beta3);
        var root = Inputs.sqrt(n).over(Inputs.sqrt(in.biasCorrection(beta3))).plus(in.hyper("eps"));
        var ofMean = lr.over(in.biasCorrection(beta1));
        var ofChange = lr.times(beta2).over(in.biasCorrection(beta2));
        var step = ofMean.times(m).plus(ofChange.times(q)).over(root).negate();
        return List.of(
                in.delta(decayed(in, step)),
                expAvg.becomes(m),
                expAvgDiff.becomes(q),
                expAvgSq.becomes(n),
                negPreGrad.becomes(g.negate()));
    }

    private static Expr clipped(Inputs in) {
        if (!in.on("max_grad_norm")) {
            return in.grad();
        }
        var norm = Inputs.norm(Scope.SESSION, in.grad());
        var bound = in.hyper("max_grad_norm");
        var factor = Inputs.min(bound.over(norm.plus(in.hyper("eps"))), Inputs.one());
        var zeroMeansOff = Expr.select(Inputs.greater(bound, Expr.constant(0)), factor, Inputs.one());
        return in.grad().times(zeroMeansOff);
    }

    /// The proximal step `(p + step) / (1 + lr*wd)` as a delta, with nothing cancelling: `(step - lr*wd*p) / (1 + lr*wd)`.
    private static Expr decayed(Inputs in, Expr step) {
        if (in.flag("no_prox") || !in.on("weight_decay")) {
            return in.decoupledDecay(step);
        }
        return in.decoupledDecay(step).over(in.hyper("lr").times(in.hyper("weight_decay")).plus(1));
    }
}
