package dev.stepd.rule;

import dev.stepd.expr.Expr;
import java.util.Optional;

/// An exponential moving average of the parameters after each step, which starts as a copy of the first.
///
///     x = p + delta        a <- decay*a + (1 - decay)*x, on the first step a <- x
///
/// State: 4 bytes a parameter. Polyak, Juditsky, *Acceleration of stochastic approximation by averaging*, 1992; follows
/// torch.optim.swa_utils.
final class ExponentialAverage implements Wrapper {
    @Override
    public Spec spec() {
        return Spec.of("ema", "Exponential moving average of parameters",
                        "Polyak, Juditsky: Acceleration of stochastic approximation by averaging, SIAM J. Control Optim. 1992")
                .follows("torch 2.13.0 torch.optim.swa_utils.AveragedModel")
                .decay("decay", 0.999, "how much of the average is kept each step")
                .slotOfParameter("average")
                .build();
    }

    @Override
    public Move step(Inputs in, Inner inner) {
        var move = inner.step();
        var average = in.slot("average");
        var x = in.after(move);
        var mixed = Inputs.ema(average.old(), x, in.hyper("decay"));
        return move.and(average.becomes(Expr.select(in.first(), x, mixed)));
    }

    @Override
    public Optional<Expr> average(Inputs in) {
        return Optional.of(in.slot("average").old());
    }
}
