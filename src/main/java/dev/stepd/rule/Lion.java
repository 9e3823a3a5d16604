package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import java.util.List;
import java.util.function.UnaryOperator;

/// Lion (EvoLved Sign Momentum) with decoupled weight decay. The sign is taken of one mean, the state is another.
///
///     c = b1*m + (1 - b1)*g        delta = -lr*(sign(c) + wd*p)        m <- b2*m + (1 - b2)*g
///
/// State: 4 bytes a parameter. Chen et al., *Symbolic discovery of optimization algorithms*, 2023, arXiv:2302.06675, Program 1.
final class Lion implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("lion", "Evolved sign momentum",
                        "Chen, Liang, Huang, Real, Wang, Liu, Pham, Dong, Luong, Hsieh, Lu, Le: Symbolic discovery of optimization algorithms, 2023, arXiv:2302.06675")
                .follows("google/automl@6a54c87 lion/lion_pytorch.py")
                .lr(1e-4)
                .decay("beta1", 0.9, "how much of the mean the step keeps")
                .decay("beta2", 0.99, "how much of the mean the state keeps")
                .weightDecay(0)
                .slot("exp_avg", Spec.Sign.SIGNED)
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        return step(in, Inputs::sign);
    }

    /// @param direction what `c` makes the step of, `sign(c)` being Lion's
    static List<Assignment> step(Inputs in, UnaryOperator<Expr> direction) {
        var g = in.grad();
        var expAvg = in.slot("exp_avg");
        var c = Inputs.ema(expAvg.old(), g, in.hyper("beta1"));
        return List.of(
                in.delta(in.decoupledDecay(in.hyper("lr").negate().times(direction.apply(c)))),
                expAvg.becomes(Inputs.ema(expAvg.old(), g, in.hyper("beta2"))));
    }
}
