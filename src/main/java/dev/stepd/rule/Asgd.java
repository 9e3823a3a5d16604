package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Scope;
import java.util.List;
import java.util.Optional;

/// Gradient descent with a falling rate, and the mean of the parameters from step `t0` on.
///
///     g <- g + wd*p        delta = -lambd*eta*p - eta*g        ax <- ax + mu*(p + delta - ax)
///     eta <- lr / (1 + lambd*lr*t)^alpha        mu <- 1 / max(1, t - t0)
///
/// A step uses the eta and mu of the step before: at first `lr` and 1. State: 4 bytes a parameter, and two numbers a
/// tensor. Polyak, Juditsky, *Acceleration of stochastic approximation by averaging*, 1992; follows torch.optim.ASGD.
final class Asgd implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("asgd", "Averaged stochastic gradient descent",
                        "Polyak, Juditsky: Acceleration of stochastic approximation by averaging, SIAM J. Control Optim. 1992")
                .follows("torch 2.13.0 torch.optim.ASGD")
                .lr(0.01)
                .real("lambd", 1e-4, Hyperparameter.Range.NON_NEGATIVE, "decay of the parameter and, with alpha, of the rate")
                .real("alpha", 0.75, Hyperparameter.Range.NON_NEGATIVE, "power the rate falls with")
                .real("t0", 1e6, Hyperparameter.Range.NON_NEGATIVE, "the step from which parameters are averaged")
                .weightDecay(0)
                .slot("ax", Spec.Sign.SIGNED)
                .fine("it holds parameter values, whose small steps codes would swallow")
                .slot("eta", Scope.TENSOR, Spec.Sign.UNSIGNED, new Expr.Hyper("lr"))
                .slot("mu", Scope.TENSOR, Spec.Sign.UNSIGNED, 1)
                .build();
    }

    @Override
    public Optional<Expr> average(Inputs in) {
        return Optional.of(in.slot("ax").old());
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var lr = in.hyper("lr");
        var lambd = in.hyper("lambd");
        var ax = in.slot("ax");
        var eta = in.slot("eta");
        var mu = in.slot("mu");
        var step = lambd.times(eta.old()).times(in.param()).plus(eta.old().times(in.decayedGrad())).negate();
        var delta = in.delta(step);
        var moved = in.param().plus(delta.value());
        var fall = Inputs.pow(lambd.times(lr).times(in.t()).plus(1), in.hyper("alpha"));
        var averaged = Inputs.max(Inputs.one(), in.t().minus(in.hyper("t0")));
        return List.of(
                delta,
                ax.becomes(Inputs.ema(moved, ax.old(), mu.old())),
                eta.becomes(lr.over(fall)),
                mu.becomes(Inputs.one().over(averaged)));
    }
}
