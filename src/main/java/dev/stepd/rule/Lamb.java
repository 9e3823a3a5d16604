package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Scope;
import java.util.List;

/// Adam whose steps are scaled by tensor, to the norm of the parameter times `lr`.
///
///     g <- g / max(|g| / max_grad_norm, 1), over all tensors
///     m <- b1*m + (1 - b1)*g, or b1*m + g without grad_averaging        v as Adam
///     u = m / (1 - b1^t) / (sqrt(v) / sqrt(1 - b2^t) + eps) + wd*p
///     if wd is not 0, or with always_adapt: u <- |p| / |u| * u, unless either norm is 0; trust_clip: at most 1 * u
///     delta = -lr*u
///
/// State: 8 bytes a parameter. You et al., *Large batch optimization for deep learning: training BERT in 76 minutes*,
/// 2019, arXiv:1904.00962, Algorithm 2; follows timm.
final class Lamb implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("lamb", "Adam with trust ratios by tensor",
                        "You, Li, Reddi, Hseu, Kumar, Bhojanapalli, Song, Demmel, Keutzer, Hsieh: Large batch optimization for deep learning: training BERT in 76 minutes, 2019, arXiv:1904.00962")
                .follows("huggingface/pytorch-image-models@aa4b585 timm/optim/lamb.py Lamb")
                .lr(1e-3)
                .betas(0.9, 0.999)
                .eps(1e-6)
                .weightDecay(0.01)
                .flag("bias_correction", true, "correct the moments for their start at zero")
                .flag("grad_averaging", true, "let the first moment be a mean instead of a sum")
                .option("max_grad_norm", 0, Hyperparameter.Range.NON_NEGATIVE, "norm over all tensors the gradient is cut to")
                .flag("trust_clip", false, "never scale steps up")
                .flag("always_adapt", false, "scale steps without weight decay too")
                .moments()
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var g = clipped(in);
        var one = Inputs.one();
        var beta1 = in.hyper("beta1");
        var beta2 = in.hyper("beta2");
        var expAvg = in.slot("exp_avg");
        var expAvgSq = in.slot("exp_avg_sq");
        var m = in.flag("grad_averaging")
                ? Inputs.ema(expAvg.old(), g, beta1)
                : beta1.times(expAvg.old()).plus(g);
        var v = Inputs.ema(expAvgSq.old(), g.squared(), beta2);
        boolean corrects = in.flag("bias_correction");
        var ofMean = corrects ? in.biasCorrection(beta1) : one;
        var ofSquare = corrects ? Inputs.sqrt(in.biasCorrection(beta2)) : one;
        var root = Inputs.sqrt(v).over(ofSquare).plus(in.hyper("eps"));
        var u = m.over(ofMean).over(root);
        if (in.on("weight_decay")) {
            u = u.plus(in.hyper("weight_decay").times(in.param()));
        }
        return List.of(in.delta(rate(in, u).negate().times(u)), expAvg.becomes(m), expAvgSq.becomes(v));
    }

    private static Expr clipped(Inputs in) {
        if (!in.on("max_grad_norm")) {
            return in.grad();
        }
        var bound = in.hyper("max_grad_norm");
        var excess = Inputs.max(Inputs.norm(Scope.SESSION, in.grad()).over(bound), Inputs.one());
        var zeroMeansOff = Expr.select(Inputs.greater(bound, Expr.constant(0)), excess, Inputs.one());
        return in.grad().over(zeroMeansOff);
    }

    private static Expr rate(Inputs in, Expr u) {
        var lr = in.hyper("lr");
        if (!in.on("weight_decay") && !in.flag("always_adapt")) {
            return lr;
        }
        var zero = Expr.constant(0);
        var of = Inputs.norm(Scope.TENSOR, in.param());
        var by = Inputs.norm(Scope.TENSOR, u);
        var both = Inputs.and(Inputs.greater(of, zero), Inputs.greater(by, zero));
        var ratio = Expr.select(both, of.over(by), Inputs.one());
        var bounded = in.flag("trust_clip") ? Inputs.min(ratio, Inputs.one()) : ratio;
        var adapts = Inputs.greater(in.hyper("weight_decay"), zero);
        return lr.times(in.flag("always_adapt") ? bounded : Expr.select(adapts, bounded, Inputs.one()));
    }
}
