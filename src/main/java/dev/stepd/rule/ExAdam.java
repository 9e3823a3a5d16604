package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import java.util.List;

/// Adam whose debiased moments adapt to each other, and whose step has the debiased gradient itself in it.
///
///     m, v as Adam        d1 = 1 + v / (v + eps) * b2^t        d2 = 1 + m^2 / (m^2 + eps) * b1^t
///     r = sqrt(v / (1 - b2^t) * d2) + eps        delta = -lr*wd*p - lr' / (1 - b1^t) * d1*(m + g) / r
///
/// `lr' = lr`, with dynamic_lr (paper version 1) `lr * ln(sqrt(2) * sqrt(t + 1))`. State: 8 bytes a parameter. Adly,
/// *EXAdam: the power of adaptive cross-moments*, 2024, arXiv:2412.20302; follows AhmedMostafa16/EXAdam.
final class ExAdam implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("exadam", "Adam with crossed moments",
                        "Adly: EXAdam: the power of adaptive cross-moments, 2024, arXiv:2412.20302")
                .follows("AhmedMostafa16/EXAdam@989d7b6 exadam.py; dynamic_lr: EXAdam@48d6ef5")
                .lr(1e-3)
                .betas(0.9, 0.999)
                .eps(1e-8)
                .weightDecay(0)
                .flag("dynamic_lr", false, "let the learning rate grow with the logarithm of the steps")
                .moments()
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var g = in.grad();
        var beta1 = in.hyper("beta1");
        var beta2 = in.hyper("beta2");
        var eps = in.hyper("eps");
        var expAvg = in.slot("exp_avg");
        var expAvgSq = in.slot("exp_avg_sq");
        var m = Inputs.ema(expAvg.old(), g, beta1);
        var v = Inputs.ema(expAvgSq.old(), g.squared(), beta2);
        var ofSquare = v.over(v.plus(eps)).times(Inputs.pow(beta2, in.t())).plus(1);
        var ofMean = m.squared().over(m.squared().plus(eps)).times(Inputs.pow(beta1, in.t())).plus(1);
        var root = Inputs.sqrt(v.over(in.biasCorrection(beta2)).times(ofMean)).plus(eps);
        var rate = rate(in).over(in.biasCorrection(beta1));
        var step = rate.negate().times(ofSquare.times(m.plus(g)).over(root));
        return List.of(in.delta(in.decoupledDecay(step)), expAvg.becomes(m), expAvgSq.becomes(v));
    }

    private static Expr rate(Inputs in) {
        var lr = in.hyper("lr");
        return in.flag("dynamic_lr") ? lr.times(Inputs.log(in.t().plus(1).times(2)).times(0.5)) : lr;
    }
}
