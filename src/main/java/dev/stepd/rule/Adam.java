package dev.stepd.rule;

import dev.stepd.expr.Program.Assignment;
import java.util.List;

/// Adam with coupled weight decay. `eps` joins after the bias-corrected root, as PyTorch has it and the paper's efficient
/// form has not.
///
///     g <- g + wd*p        m <- b1*m + (1 - b1)*g        v <- b2*v + (1 - b2)*g^2
///     delta = -lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)
///
/// State: 8 bytes a parameter. Kingma, Ba, *Adam: a method for stochastic optimization*, 2014, arXiv:1412.6980, Algorithm 1.
final class Adam implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("adam", "Adaptive moments",
                        "Kingma, Ba: Adam: a method for stochastic optimization, 2014, arXiv:1412.6980")
                .follows("torch 2.13.0 torch.optim.Adam")
                .lr(1e-3)
                .betas(0.9, 0.999)
                .eps(1e-8)
                .weightDecay(0)
                .maximize()
                .moments()
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var g = in.decayedGrad();
        var beta1 = in.hyper("beta1");
        var beta2 = in.hyper("beta2");
        var expAvg = in.slot("exp_avg");
        var expAvgSq = in.slot("exp_avg_sq");
        var m = Inputs.ema(expAvg.old(), g, beta1);
        var v = Inputs.ema(expAvgSq.old(), g.squared(), beta2);
        var rate = in.hyper("lr").over(in.biasCorrection(beta1));
        var root = Inputs.sqrt(v).over(Inputs.sqrt(in.biasCorrection(beta2))).plus(in.hyper("eps"));
        return List.of(in.delta(rate.negate().times(m.over(root))), expAvg.becomes(m), expAvgSq.becomes(v));
    }
}
