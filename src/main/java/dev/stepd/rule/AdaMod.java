package dev.stepd.rule;

import dev.stepd.expr.Program.Assignment;
import java.util.List;

/// Adam whose rates are bounded by their own running mean, which starts at zero: the first steps are about `1 - b3` of
/// Adam's.
///
///     m, v as Adam        s = lr*sqrt(1 - b2^t) / (1 - b1^t) / (sqrt(v) + eps)        e <- b3*e + (1 - b3)*s
///     delta = -lr*wd*p - min(s, e)*m
///
/// State: 12 bytes a parameter. Ding, Ren, Luo, Sun, *An adaptive and momental bound method for stochastic learning*,
/// 2019, arXiv:1910.12249; follows lancopku/AdaMod.
final class AdaMod implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("adamod", "Adam with rates bounded by their mean",
                        "Ding, Ren, Luo, Sun: An adaptive and momental bound method for stochastic learning, 2019, arXiv:1910.12249")
                .follows("lancopku/AdaMod@d866407 adamod/adamod.py")
                .lr(1e-3)
                .betas(0.9, 0.999)
                .decay("beta3", 0.999, "how much of the mean rate is kept each step")
                .eps(1e-8)
                .weightDecay(0)
                .moments()
                .slot("exp_avg_lr", Spec.Sign.UNSIGNED)
                .ageless()
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var g = in.grad();
        var beta1 = in.hyper("beta1");
        var beta2 = in.hyper("beta2");
        var expAvg = in.slot("exp_avg");
        var expAvgSq = in.slot("exp_avg_sq");
        var expAvgLr = in.slot("exp_avg_lr");
        var m = Inputs.ema(expAvg.old(), g, beta1);
        var v = Inputs.ema(expAvgSq.old(), g.squared(), beta2);
        var rate = in.hyper("lr").times(Inputs.sqrt(in.biasCorrection(beta2))).over(in.biasCorrection(beta1));
        var s = rate.over(Inputs.sqrt(v).plus(in.hyper("eps")));
        var e = Inputs.ema(expAvgLr.old(), s, in.hyper("beta3"));
        return List.of(
                in.delta(in.decoupledDecay(Inputs.min(s, e).negate().times(m))),
                expAvg.becomes(m),
                expAvgSq.becomes(v),
                expAvgLr.becomes(e));
    }
}
