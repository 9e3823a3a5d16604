package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import java.util.List;

/// Stochastic gradient descent with momentum as PyTorch defines it: the buffer is a sum, not a mean, and dampening starts
/// with the second step.
///
///     g <- g + wd*p        b <- mu*b + (1 - dampening)*g, on the first step b <- g
///     delta = -lr*b, with nesterov -lr*(g + mu*b)
///
/// State: 4 bytes a parameter with momentum, none without. Sutskever et al., *On the importance of initialization and
/// momentum in deep learning*, 2013; follows torch.optim.SGD.
final class Sgd implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("sgd", "Stochastic gradient descent with momentum",
                        "Sutskever, Martens, Dahl, Hinton: On the importance of initialization and momentum in deep learning, ICML 2013")
                .follows("torch 2.13.0 torch.optim.SGD")
                .lr(1e-3)
                .option("momentum", 0, Hyperparameter.Range.NON_NEGATIVE, "how much of the buffer is kept each step")
                .option("dampening", 0, Hyperparameter.Range.UNIT, "how much less than all of the gradient joins the buffer")
                .weightDecay(0)
                .flag("nesterov", false, "look one momentum step ahead; needs momentum and no dampening")
                .maximize()
                .slot("momentum_buffer", Spec.Sign.SIGNED)
                .ageless()
                .build();
    }

    @Override
    public void check(Settings settings) {
        if (settings.flag("nesterov") && (!settings.on("momentum") || settings.on("dampening"))) {
            throw settings.invalid("nesterov", "true", "false unless momentum is above 0 and dampening is 0");
        }
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var lr = in.hyper("lr");
        var g = in.decayedGrad();
        if (!in.on("momentum")) {
            return List.of(in.delta(lr.negate().times(g)));
        }
        var momentum = in.hyper("momentum");
        var buffer = in.slot("momentum_buffer");
        var share = Expr.select(in.first(), Inputs.one(), Inputs.one().minus(in.hyper("dampening")));
        var b = momentum.times(buffer.old()).plus(share.times(g));
        var d = in.flag("nesterov") ? g.plus(momentum.times(b)) : b;
        return List.of(in.delta(lr.negate().times(d)), buffer.becomes(b));
    }
}
