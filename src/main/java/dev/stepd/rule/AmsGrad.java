package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import java.util.List;

/// Adam whose denominator never falls: the largest second moment so far.
///
///     m, v as Adam        raw: x <- max(x, v),  r = sqrt(x) / sqrt(1 - b2^t) + eps
///     bias_corrected: x <- max(x, v / (1 - b2^t)),  r = sqrt(x) + eps
///     delta = -lr / (1 - b1^t) * m / r
///
/// Weight decay is coupled, or decoupled as in AdamW. State: 12 bytes a parameter. Reddi, Kale, Kumar, *On the convergence of Adam
/// and beyond*, 2018, arXiv:1904.09237, Algorithm 2 (which has no bias correction); `raw` follows torch, `bias_corrected` optax.
final class AmsGrad implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("amsgrad", "Adam with a denominator that never falls",
                        "Reddi, Kale, Kumar: On the convergence of Adam and beyond, ICLR 2018, arXiv:1904.09237")
                .follows("torch 2.13.0 torch.optim.Adam(amsgrad=True), AdamW; bias_corrected: optax 0.2.8 amsgrad")
                .lr(1e-3)
                .betas(0.9, 0.999)
                .eps(1e-8)
                .weightDecay(0)
                .flag("decoupled", false, "decay the parameter as AdamW does, not the gradient")
                .choice("max_on", "which second moment the maximum is taken of", "raw", "bias_corrected")
                .moments()
                .slot("max_exp_avg_sq", Spec.Sign.UNSIGNED)
                .ageless()
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        boolean decoupled = in.flag("decoupled");
        var g = decoupled ? in.grad() : in.decayedGrad();
        var beta1 = in.hyper("beta1");
        var beta2 = in.hyper("beta2");
        var expAvg = in.slot("exp_avg");
        var expAvgSq = in.slot("exp_avg_sq");
        var maxExpAvgSq = in.slot("max_exp_avg_sq");
        var m = Inputs.ema(expAvg.old(), g, beta1);
        var v = Inputs.ema(expAvgSq.old(), g.squared(), beta2);
        var correction = in.biasCorrection(beta2);
        boolean raw = in.chosen("max_on", "raw");
        var largest = Inputs.max(maxExpAvgSq.old(), raw ? v : v.over(correction));
        Expr root = raw ? Inputs.sqrt(largest).over(Inputs.sqrt(correction)) : Inputs.sqrt(largest);
        var rate = in.hyper("lr").over(in.biasCorrection(beta1));
        var step = rate.negate().times(m.over(root.plus(in.hyper("eps"))));
        return List.of(
                in.delta(decoupled ? in.decoupledDecay(step) : step),
                expAvg.becomes(m),
                expAvgSq.becomes(v),
                maxExpAvgSq.becomes(largest));
    }
}
