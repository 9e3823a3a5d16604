package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Scope;
import java.util.ArrayList;
import java.util.List;

/// Gradient descent that descends on its learning rate too: the rate grows while steps go on in the same direction.
///
///     g <- g + wd*p        r <- r + hypergrad_lr*<g, d_before>, over all tensors
///     b <- mu*b + (1 - dampening)*g, on the first step b <- g        d = b, with nesterov d = g + mu*b        delta = -r*d
///
/// The rate `r` is state: it starts at `lr`, which has no further use, and may turn negative. State: 4 bytes a parameter, 8
/// with momentum. Baydin et al., *Online learning rate adaptation with hypergradient descent*, 2017, arXiv:1703.04782,
/// Algorithms 4 and 5; follows gbaydin/hypergradient-descent.
final class SgdHd implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("sgd_hd", "Gradient descent with hypergradient descent",
                        "Baydin, Cornish, Martínez Rubio, Schmidt, Wood: Online learning rate adaptation with hypergradient descent, 2017, arXiv:1703.04782")
                .follows("gbaydin/hypergradient-descent@020d608 hypergrad/sgd_hd.py")
                .shared("lr", 1e-3, Hyperparameter.Range.NON_NEGATIVE, "learning rate of the first step")
                .option("momentum", 0, Hyperparameter.Range.NON_NEGATIVE, "how much of the buffer is kept each step")
                .option("dampening", 0, Hyperparameter.Range.UNIT, "how much less than all of the gradient joins the buffer")
                .weightDecay(0)
                .flag("nesterov", false, "look one momentum step ahead; needs momentum and no dampening")
                .shared("hypergrad_lr", 1e-6, Hyperparameter.Range.NON_NEGATIVE, "learning rate of the learning rate")
                .slot("grad_prev", Spec.Sign.SIGNED)
                .ageless()
                .slot("momentum_buffer", Spec.Sign.SIGNED)
                .ageless()
                .slot("lr", Scope.SESSION, Spec.Sign.SIGNED, new Expr.Hyper("lr"))
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
        var g = in.decayedGrad();
        var prev = in.slot("grad_prev");
        var rate = in.slot("lr");
        var hypergradient = Inputs.dot(Scope.SESSION, g, prev.old());
        var r = rate.old().plus(in.hyper("hypergrad_lr").times(hypergradient));
        var writes = new ArrayList<>(List.of(rate.becomes(r)));
        var d = g;
        if (in.on("momentum")) {
            var momentum = in.hyper("momentum");
            var buffer = in.slot("momentum_buffer");
            var share = Expr.select(in.first(), Inputs.one(), Inputs.one().minus(in.hyper("dampening")));
            var b = momentum.times(buffer.old()).plus(share.times(g));
            writes.add(buffer.becomes(b));
            d = in.flag("nesterov") ? g.plus(momentum.times(b)) : b;
        }
        writes.add(prev.becomes(d));
        writes.addFirst(in.delta(r.negate().times(d)));
        return writes;
    }
}
