package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import java.util.List;

/// Adam that waits with adapting rates until their variance is tractable; before that it is plain momentum.
///
///     m, v as Adam        R0 = 2/(1 - b2) - 1        r = R0 - 2*t*b2^t / (1 - b2^t)
///     r > 5: delta = -lr*m / (1 - b1^t) * sqrt((r-4)(r-2)R0 / ((R0-4)(R0-2)r)) * sqrt(1 - b2^t) / (sqrt(v) + eps)
///     else:  delta = -lr*m / (1 - b1^t)
///
/// `eps` joins the uncorrected root. Weight decay is coupled, or decoupled as in AdamW. State: 8 bytes a parameter. Liu et al.,
/// *On the variance of the adaptive learning rate and beyond*, 2019, arXiv:1908.03265, Algorithm 2; follows torch.optim.RAdam.
final class RAdam implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("radam", "Rectified Adam",
                        "Liu, Jiang, He, Chen, Liu, Gao, Han: On the variance of the adaptive learning rate and beyond, 2019, arXiv:1908.03265")
                .follows("torch 2.13.0 torch.optim.RAdam")
                .lr(1e-3)
                .betas(0.9, 0.999)
                .eps(1e-8)
                .weightDecay(0)
                .flag("decoupled", false, "decay the parameter as AdamW does, not the gradient")
                .maximize()
                .moments()
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
        var m = Inputs.ema(expAvg.old(), g, beta1);
        var v = Inputs.ema(expAvgSq.old(), g.squared(), beta2);
        var correction = in.biasCorrection(beta2);
        var rectification = Rectification.of(in, beta2);
        var adapted = rectification.factor().times(Inputs.sqrt(correction));
        var tractable = Inputs.greater(rectification.length(), Expr.constant(5));
        var direction = Expr.select(tractable, adapted.times(m).over(Inputs.sqrt(v).plus(in.hyper("eps"))), m);
        var step = in.hyper("lr").over(in.biasCorrection(beta1)).negate().times(direction);
        return List.of(
                in.delta(decoupled ? in.decoupledDecay(step) : step), expAvg.becomes(m), expAvgSq.becomes(v));
    }
}
