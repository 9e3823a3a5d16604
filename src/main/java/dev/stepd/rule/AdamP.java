package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.tensor.TensorSpec;
import java.util.List;

/// Adam whose steps do not lengthen scale-invariant weights.
///
///     m, v as Adam        s = m / (sqrt(v) / sqrt(1 - b2^t) + eps), with nesterov (b1*m + (1 - b1)*g) for m
///     s, rho <- the projection of s where there are rows ([Projection]), else s, 1
///     delta = -lr*wd*rho*p - lr / (1 - b1^t) * s
///
/// State: 8 bytes a parameter. Heo et al., *AdamP: slowing down the slowdown for momentum optimizers on scale-invariant
/// weights*, 2020, arXiv:2006.08217, Algorithm 2; follows clovaai/AdamP.
final class AdamP implements Rule {
    @Override
    public Spec spec() {
        return settings(Spec.of("adamp", "Adam that does not lengthen scale-invariant weights",
                        "Heo, Chun, Oh, Han, Yun, Kim, Uh, Ha: AdamP: slowing down the slowdown for momentum optimizers on scale-invariant weights, 2020, arXiv:2006.08217")
                .follows("clovaai/AdamP@7f6f038 adamp/adamp.py")
                .lr(1e-3)
                .betas(0.9, 0.999))
                .moments()
                .build();
    }

    /// What AdamP and SGDP take.
    static Spec.Builder settings(Spec.Builder spec) {
        return spec.eps(1e-8)
                .weightDecay(0)
                .real("delta", 0.1, Hyperparameter.Range.NON_NEGATIVE, "how small a cosine shows scale invariance, times the root of a row's length")
                .real("wd_ratio", 0.1, Hyperparameter.Range.NON_NEGATIVE, "the share of weight decay that scale-invariant weights keep")
                .flag("nesterov", false, "look one momentum step ahead");
    }

    @Override
    public List<View> views(List<TensorSpec> tensors, Settings settings) {
        return View.matricesAndVectors(tensors);
    }

    @Override
    public List<String> kinds() {
        return View.MATRICES_AND_VECTORS;
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var g = in.grad();
        var beta1 = in.hyper("beta1");
        var expAvg = in.slot("exp_avg");
        var expAvgSq = in.slot("exp_avg_sq");
        var m = Inputs.ema(expAvg.old(), g, beta1);
        var v = Inputs.ema(expAvgSq.old(), g.squared(), in.hyper("beta2"));
        var root = Inputs.sqrt(v).over(Inputs.sqrt(in.biasCorrection(in.hyper("beta2")))).plus(in.hyper("eps"));
        Expr mean = in.flag("nesterov") ? Inputs.ema(m, g, beta1) : m;
        var projected = in.is(View.MATRIX) ? Projection.of(in, mean.over(root)) : Projection.none(mean.over(root));
        var step = in.hyper("lr").over(in.biasCorrection(beta1)).negate().times(projected.step());
        var delta = in.decoupledDecay(step, in.hyper("lr").times(projected.decay()));
        return List.of(in.delta(delta), expAvg.becomes(m), expAvgSq.becomes(v));
    }
}
