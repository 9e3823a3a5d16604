package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import java.util.List;

/// Each parameter's rate falls with the sum of its squared gradients. `eps` stands outside the root.
///
///     g <- g + wd*p        s <- s + g^2        delta = -lr / (1 + (t-1)*lr_decay) * g / (sqrt(s) + eps)
///
/// State: 4 bytes a parameter, starting at `initial_accumulator_value`. Duchi, Hazan, Singer, *Adaptive subgradient methods
/// for online learning and stochastic optimization*, JMLR 2011; follows torch.optim.Adagrad (optax puts eps inside).
final class Adagrad implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("adagrad", "Rates by accumulated squared gradients",
                        "Duchi, Hazan, Singer: Adaptive subgradient methods for online learning and stochastic optimization, JMLR 2011")
                .follows("torch 2.13.0 torch.optim.Adagrad")
                .lr(0.01)
                .option("lr_decay", 0, Hyperparameter.Range.NON_NEGATIVE, "how fast the learning rate falls with the steps")
                .weightDecay(0)
                .option("initial_accumulator_value", 0, Hyperparameter.Range.NON_NEGATIVE, "what the accumulator starts at")
                .eps(1e-10)
                .maximize()
                .slot("sum", Spec.Sign.UNSIGNED, new Expr.Hyper("initial_accumulator_value"))
                .ageless()
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var g = in.decayedGrad();
        var sum = in.slot("sum");
        var s = sum.old().plus(g.squared());
        var rate = in.hyper("lr").over(in.t().minus(1).times(in.hyper("lr_decay")).plus(1));
        return List.of(
                in.delta(rate.negate().times(g).over(Inputs.sqrt(s).plus(in.hyper("eps")))), sum.becomes(s));
    }
}
