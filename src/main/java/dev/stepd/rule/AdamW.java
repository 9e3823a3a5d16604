package dev.stepd.rule;

import dev.stepd.expr.Program.Assignment;
import java.util.List;

/// Adam with decoupled weight decay: the parameter shrinks by `lr*wd` of what it was before the step, and the moments
/// never see it.
///
///     m <- b1*m + (1 - b1)*g        v <- b2*v + (1 - b2)*g^2
///     delta = -lr*wd*p - lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)
///
/// State: 8 bytes a parameter. Loshchilov, Hutter, *Decoupled weight decay regularization*, 2017, arXiv:1711.05101,
/// Algorithm 2; follows torch.optim.AdamW.
final class AdamW implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("adamw", "Adam with decoupled weight decay",
                        "Loshchilov, Hutter: Decoupled weight decay regularization, 2017, arXiv:1711.05101")
                .follows("torch 2.13.0 torch.optim.AdamW")
                .lr(1e-3)
                .betas(0.9, 0.999)
                .eps(1e-8)
                .weightDecay(0.01)
                .maximize()
                .moments()
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var g = in.grad();
        var beta1 = in.hyper("beta1");
        var beta2 = in.hyper("beta2");
        var expAvg = in.slot("exp_avg");
        var expAvgSq = in.slot("exp_avg_sq");
        var m = Inputs.ema(expAvg.old(), g, beta1);
        var v = Inputs.ema(expAvgSq.old(), g.squared(), beta2);
        var rate = in.hyper("lr").over(in.biasCorrection(beta1));
        var root = Inputs.sqrt(v).over(Inputs.sqrt(in.biasCorrection(beta2))).plus(in.hyper("eps"));
        var delta = in.decoupledDecay(rate.negate().times(m.over(root)));
        return List.of(in.delta(delta), expAvg.becomes(m), expAvgSq.becomes(v));
    }
}
