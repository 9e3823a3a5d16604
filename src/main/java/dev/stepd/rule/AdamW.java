package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import java.util.ArrayList;
import java.util.List;

/// Adam with decoupled weight decay: the parameter shrinks by `lr*wd` of what it was before the step, and the moments
/// never see it.
///
///     m <- b1*m + (1 - b1)*g        v <- b2*v + (1 - b2)*g^2
///     delta = -lr*wd*p - lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)
///
/// With `eps_root: uncorrected` it is sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + eps) that `lr` multiplies, without
/// `bias_correction` m / (sqrt(v) + eps). State: 8 bytes a parameter, 4 if b1 is 0. Loshchilov, Hutter, *Decoupled weight decay regularization*, 2017, arXiv:1711.05101,
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
                .flag("bias_correction", true, "make up for moments that start at zero")
                .choice("eps_root", "the root eps is added to: with its bias corrected, or as it is", "corrected", "uncorrected")
                .maximize()
                .moments()
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var g = in.grad();
        var expAvgSq = in.slot("exp_avg_sq");
        var writes = new ArrayList<Assignment>();
        var m = in.momentum("exp_avg", g, "beta1", writes);
        var v = Inputs.ema(expAvgSq.old(), g.squared(), in.hyper("beta2"));
        writes.add(expAvgSq.becomes(v));
        writes.addFirst(in.delta(in.decoupledDecay(step(in, m, Inputs.sqrt(v)))));
        return writes;
    }

    private static Expr step(Inputs in, Expr m, Expr root) {
        var lr = in.hyper("lr");
        if (!in.flag("bias_correction")) {
            return lr.negate().times(m.over(root.plus(in.hyper("eps"))));
        }
        var rate = lr.over(in.biasCorrection(in.hyper("beta1")));
        var correction = Inputs.sqrt(in.biasCorrection(in.hyper("beta2")));
        return in.chosen("eps_root", "corrected")
                ? rate.negate().times(m.over(root.over(correction).plus(in.hyper("eps"))))
                : rate.times(correction).negate().times(m.over(root.plus(in.hyper("eps"))));
    }
}
