package dev.stepd.rule;

import dev.stepd.expr.Program.Assignment;
import java.util.List;

/// Adam with the infinity norm for its second moment. `eps` joins the gradient inside the maximum, where the paper has none
/// and divides by zero for elements never seen.
///
///     g <- g + wd*p        m <- b1*m + (1 - b1)*g        u <- max(b2*u, |g| + eps)        delta = -lr / (1 - b1^t) * m / u
///
/// State: 8 bytes a parameter. Kingma, Ba, *Adam*, 2014, arXiv:1412.6980, Algorithm 2; follows torch.optim.Adamax.
final class Adamax implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("adamax", "Adam with the infinity norm",
                        "Kingma, Ba: Adam: a method for stochastic optimization, 2014, arXiv:1412.6980, section 7")
                .follows("torch 2.13.0 torch.optim.Adamax")
                .lr(2e-3)
                .decay("beta1", 0.9, "how much of the mean gradient is kept each step")
                .decay("beta2", 0.999, "how much of the infinity norm is kept each step")
                .eps(1e-8)
                .weightDecay(0)
                .maximize()
                .slot("exp_avg", Spec.Sign.SIGNED)
                .slot("exp_inf", Spec.Sign.UNSIGNED)
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var g = in.decayedGrad();
        var beta1 = in.hyper("beta1");
        var expAvg = in.slot("exp_avg");
        var expInf = in.slot("exp_inf");
        var m = Inputs.ema(expAvg.old(), g, beta1);
        var u = Inputs.max(in.hyper("beta2").times(expInf.old()), Inputs.abs(g).plus(in.hyper("eps")));
        var rate = in.hyper("lr").over(in.biasCorrection(beta1));
        return List.of(in.delta(rate.negate().times(m.over(u))), expAvg.becomes(m), expInf.becomes(u));
    }
}
