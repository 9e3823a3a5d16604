package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import java.util.ArrayList;
import java.util.List;

/// Adam that waits with adapting rates until their variance is tractable; before that it is plain momentum, or stands.
///
///     m, v as Adam        R0 = 2/(1 - b2) - 1        r = R0 - 2*t*b2^t / (1 - b2^t)
///     r > threshold: a = lr*sqrt((r-4)(r-2)R0 / ((R0-4)(R0-2)r))
///                    delta = -a*m / (1 - b1^t) * sqrt(1 - b2^t) / (sqrt(v) + eps)
///     else: a = lr, delta = -a*m / (1 - b1^t), or if silent a = 0
///
/// `eps` joins the uncorrected root, or with `eps_root: corrected` sqrt(v) / sqrt(1 - b2^t). Weight decay is coupled, or
/// decoupled as in AdamW at the rate lr, with `rectified_decay` at a. State: 8 bytes a parameter, 4 if b1 is 0. Liu et al.,
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
                .flag("rectified_decay", false, "where decay is decoupled, at the rate of the step instead of lr")
                .real("threshold", 5, new Hyperparameter.Range(4, Double.MAX_VALUE, true), "what r must be above for rates to adapt")
                .flag("silent", false, "take no step before rates adapt")
                .choice("eps_root", "the root eps is added to: as it is, or with its bias corrected", "uncorrected", "corrected")
                .maximize()
                .moments()
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        boolean decoupled = in.flag("decoupled");
        var g = decoupled ? in.grad() : in.decayedGrad();
        var expAvgSq = in.slot("exp_avg_sq");
        var writes = new ArrayList<Assignment>();
        var m = in.momentum("exp_avg", g, "beta1", writes);
        var v = Inputs.ema(expAvgSq.old(), g.squared(), in.hyper("beta2"));
        writes.add(expAvgSq.becomes(v));
        var direction = Expr.select(tractable(in), adapted(in, m, Inputs.sqrt(v)), in.flag("silent") ? Expr.constant(0) : m);
        var step = in.hyper("lr").over(in.biasCorrection(in.hyper("beta1"))).negate().times(direction);
        var rate = in.flag("rectified_decay") ? effectiveRate(in) : in.hyper("lr");
        writes.addFirst(in.delta(decoupled ? in.decoupledDecay(step, rate) : step));
        return writes;
    }

    private static Expr adapted(Inputs in, Expr m, Expr root) {
        var correction = Inputs.sqrt(in.biasCorrection(in.hyper("beta2")));
        var factor = Rectification.of(in, in.hyper("beta2")).factor();
        return in.chosen("eps_root", "uncorrected")
                ? factor.times(correction).times(m).over(root.plus(in.hyper("eps")))
                : factor.times(m).over(root.over(correction).plus(in.hyper("eps")));
    }

    private static Expr tractable(Inputs in) {
        return Inputs.greater(Rectification.of(in, in.hyper("beta2")).length(), in.hyper("threshold"));
    }

    /// With the rectification, which is how far the step trusts its rates.
    @Override
    public Expr effectiveRate(Inputs in) {
        var lr = in.hyper("lr");
        var adapted = lr.times(Rectification.of(in, in.hyper("beta2")).factor());
        return Expr.select(tractable(in), adapted, in.flag("silent") ? Expr.constant(0) : lr);
    }
}
