package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import java.util.List;

/// Adam whose rates are held between bounds that close on `final_lr`, so that it ends as SGD.
///
///     m, v as Adam        f = final_lr * lr / lr before schedules
///     lo = f*(1 - 1/(gamma*t + 1))        hi = f*(1 + 1/(gamma*t))
///     delta = -clamp(lr*sqrt(1 - b2^t) / (1 - b1^t) / (sqrt(v) + eps), lo, hi) * m
///
/// Weight decay is coupled; decoupled it takes `wd*p`, not multiplied by `lr`. State: 8 bytes a parameter. Luo, Xiong,
/// Liu, Sun, *Adaptive gradient methods with dynamic bound of learning rate*, 2019, arXiv:1902.09843, Algorithm 2;
/// follows Luolc/AdaBound.
final class AdaBound implements Rule {
    @Override
    public Spec spec() {
        return settings(Spec.of("adabound", "Adam that ends as SGD",
                        "Luo, Xiong, Liu, Sun: Adaptive gradient methods with dynamic bound of learning rate, ICLR 2019, arXiv:1902.09843")
                .follows("Luolc/AdaBound@2e928c3 adabound/adabound.py"))
                .moments()
                .build();
    }

    /// What AdaBound and AMSBound take.
    static Spec.Builder settings(Spec.Builder spec) {
        return spec.lr(1e-3)
                .betas(0.9, 0.999)
                .eps(1e-8)
                .weightDecay(0)
                .real("final_lr", 0.1, Hyperparameter.Range.NON_NEGATIVE, "the learning rate that the bounds close on")
                .real("gamma", 1e-3, Hyperparameter.Range.NON_NEGATIVE, "how fast the bounds close")
                .flag("decoupled", false, "decay the parameter, not the gradient; not multiplied by the learning rate");
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var g = gradient(in);
        var expAvg = in.slot("exp_avg");
        var expAvgSq = in.slot("exp_avg_sq");
        var m = Inputs.ema(expAvg.old(), g, in.hyper("beta1"));
        var v = Inputs.ema(expAvgSq.old(), g.squared(), in.hyper("beta2"));
        return List.of(in.delta(bounded(in, m, v)), expAvg.becomes(m), expAvgSq.becomes(v));
    }

    /// The gradient as the moments see it.
    static Expr gradient(Inputs in) {
        return in.flag("decoupled") ? in.grad() : in.decayedGrad();
    }

    /// The step from a mean gradient and a mean square.
    static Expr bounded(Inputs in, Expr mean, Expr square) {
        var corrections = Inputs.sqrt(in.biasCorrection(in.hyper("beta2"))).over(in.biasCorrection(in.hyper("beta1")));
        var rate = in.hyper("lr").times(corrections).over(Inputs.sqrt(square).plus(in.hyper("eps")));
        var progress = in.hyper("gamma").times(in.t());
        var last = in.hyper("final_lr").times(in.scheduled("lr"));
        var low = last.times(Inputs.one().minus(Inputs.one().over(progress.plus(1))));
        var high = last.times(Inputs.one().over(progress).plus(1));
        var step = Inputs.min(Inputs.max(rate, low), high).negate().times(mean);
        boolean decays = in.flag("decoupled") && in.on("weight_decay");
        return decays ? step.minus(in.hyper("weight_decay").times(in.param())) : step;
    }
}
