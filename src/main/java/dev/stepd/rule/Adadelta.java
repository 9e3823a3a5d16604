package dev.stepd.rule;

import dev.stepd.expr.Program.Assignment;
import java.util.List;

/// Steps in the units of the parameter: the root mean square of past updates over that of gradients. `eps` stands inside both
/// roots, and the numerator is the accumulator before this step.
///
///     g <- g + wd*p        s <- rho*s + (1 - rho)*g^2        d = sqrt(a + eps) / sqrt(s + eps) * g
///     a <- rho*a + (1 - rho)*d^2        delta = -lr*d
///
/// State: 8 bytes a parameter. Zeiler, *ADADELTA: an adaptive learning rate method*, 2012, arXiv:1212.5701, Algorithm 1.
final class Adadelta implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("adadelta", "Updates by the ratio of root mean squares",
                        "Zeiler: ADADELTA: an adaptive learning rate method, 2012, arXiv:1212.5701")
                .follows("torch 2.13.0 torch.optim.Adadelta")
                .lr(1.0)
                .decay("rho", 0.9, "how much of both mean squares is kept each step")
                .eps(1e-6)
                .weightDecay(0)
                .maximize()
                .slot("square_avg", Spec.Sign.UNSIGNED)
                .slot("acc_delta", Spec.Sign.UNSIGNED)
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var g = in.decayedGrad();
        var rho = in.hyper("rho");
        var eps = in.hyper("eps");
        var squareAvg = in.slot("square_avg");
        var accDelta = in.slot("acc_delta");
        var s = Inputs.ema(squareAvg.old(), g.squared(), rho);
        var d = Inputs.sqrt(accDelta.old().plus(eps)).over(Inputs.sqrt(s.plus(eps))).times(g);
        return List.of(
                in.delta(in.hyper("lr").negate().times(d)),
                squareAvg.becomes(s),
                accDelta.becomes(Inputs.ema(accDelta.old(), d.squared(), rho)));
    }
}
