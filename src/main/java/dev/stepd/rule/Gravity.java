package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Scope;
import java.util.List;

/// Gravity: large gradients, measured by a tensor's largest, count for little, and what they gather starts at random.
///
///     M = 1 / max|g| over the tensor        z = g / (1 + (g/M)^2)        b = (beta*t + 1) / (t + 2)
///     v <- b*v + (1 - b)*z        delta = -lr*v
///
/// State: 4 bytes a parameter; `v` starts normally distributed around 0 with a deviation of `alpha/lr`, with `lr` before any
/// schedule. Bahrami, Pouriyan Zadeh, *Gravity optimizer: a kinematic approach on optimization in deep learning*, 2021,
/// arXiv:2101.09192, Algorithm 1, counting steps from 1 as the authors' PyTorch code does; follows dariush-bahrami/gravity.optimizer.
final class Gravity implements Rule {
    @Override
    public Spec spec() {
        var deviation = new Expr.Hyper("alpha").over(new Expr.Hyper(Settings.UNSCHEDULED + "lr"));
        return Spec.of("gravity", "Gravity",
                        "Bahrami, Pouriyan Zadeh: Gravity optimizer: a kinematic approach on optimization in deep learning, 2021, arXiv:2101.09192")
                .follows("dariush-bahrami/gravity.optimizer@9c12068 implementations/gravity_optimizer_pytorch.py")
                .lr(0.1)
                .real("alpha", 0.01, Hyperparameter.Range.NON_NEGATIVE, "how far the first step goes at random")
                .decay("beta", 0.9, "how much of the mean is kept in the end")
                .slotOfNormal("v", deviation)
                .build();
    }

    /// Schedules may take the rate to 0, but the start divides by what it is set to.
    @Override
    public void check(Settings settings) {
        settings.checkPositive("lr");
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var g = in.grad();
        var t = in.t();
        var mean = in.slot("v");
        var scale = Inputs.one().over(Inputs.largest(Scope.TENSOR, Inputs.abs(g)));
        var z = g.over(Inputs.one().as(g.type()).plus(g.over(scale).squared()));
        var beta = in.hyper("beta").times(t).plus(1).over(t.plus(2));
        var v = Inputs.ema(mean.old(), z, beta);
        return List.of(in.delta(in.hyper("lr").negate().times(v)), mean.becomes(v));
    }
}
