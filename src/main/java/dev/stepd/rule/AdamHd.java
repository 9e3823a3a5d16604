package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Scope;
import java.util.List;

/// Adam that descends on its learning rate too, tensor by tensor: each moves the rate before it moves by it, and the next goes
/// on from there.
///
///     g <- g + wd*p        h = <g, m / (sqrt(v) + eps)> * sqrt(1 - b2^(t-1)) / (1 - b1^(t-1)), 0 on the first step
///     r <- r + hypergrad_lr*h, one tensor after the other in the session's order
///     m <- b1*m + (1 - b1)*g        v <- b2*v + (1 - b2)*g^2
///     delta = -r * sqrt(1 - b2^t)/(1 - b1^t) * m / (sqrt(v) + eps), with r as the tensor left it
///
/// The rate `r` is state: it starts at `lr`, which has no further use, and may turn negative. State: 8 bytes a parameter.
/// Baydin et al., *Online learning rate adaptation with hypergradient descent*, 2017, arXiv:1703.04782, Algorithm 6; follows
/// gbaydin/hypergradient-descent.
final class AdamHd implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("adam_hd", "Adam with hypergradient descent",
                        "Baydin, Cornish, Martínez Rubio, Schmidt, Wood: Online learning rate adaptation with hypergradient descent, 2017, arXiv:1703.04782")
                .follows("gbaydin/hypergradient-descent@020d608 hypergrad/adam_hd.py")
                .shared("lr", 1e-3, Hyperparameter.Range.NON_NEGATIVE, "learning rate of the first step")
                .betas(0.9, 0.999)
                .eps(1e-8)
                .weightDecay(0)
                .shared("hypergrad_lr", 1e-8, Hyperparameter.Range.NON_NEGATIVE, "learning rate of the learning rate")
                .moments()
                .slot("lr", Scope.SESSION, Spec.Sign.SIGNED, new Expr.Hyper("lr"))
                .ageless()
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var g = in.decayedGrad();
        var beta1 = in.hyper("beta1");
        var beta2 = in.hyper("beta2");
        var expAvg = in.slot("exp_avg");
        var expAvgSq = in.slot("exp_avg_sq");
        var rate = in.slot("lr");
        var along = Inputs.dot(Scope.TENSOR, g, direction(in, expAvg.old(), expAvgSq.old()));
        var hypergradient = along.times(correction(beta1, beta2, in.t().minus(1)));
        var change = in.hyper("hypergrad_lr").times(Expr.select(in.first(), Expr.constant(0), hypergradient));
        var m = Inputs.ema(expAvg.old(), g, beta1);
        var v = Inputs.ema(expAvgSq.old(), g.squared(), beta2);
        var r = rate.old().plus(Inputs.runningSum(change));
        return List.of(
                in.delta(r.times(correction(beta1, beta2, in.t())).negate().times(direction(in, m, v))),
                expAvg.becomes(m),
                expAvgSq.becomes(v),
                rate.becomes(rate.old().plus(Inputs.sum(Scope.SESSION, change))));
    }

    private static Expr direction(Inputs in, Expr m, Expr v) {
        return m.over(Inputs.sqrt(v).plus(in.hyper("eps")));
    }

    private static Expr correction(Expr beta1, Expr beta2, Expr t) {
        return Inputs.sqrt(Inputs.biasCorrection(beta2, t)).over(Inputs.biasCorrection(beta1, t));
    }
}
