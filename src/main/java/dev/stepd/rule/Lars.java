package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Scope;
import java.util.List;

/// Layer-wise adaptive rate scaling: each tensor's gradient is brought to a share of the tensor's norm.
///
///     r = tc*|p| / (|g| + wd*|p| + eps), 1 where either norm is 0        trust_clip: r <- min(r/lr, 1)
///     g <- (g + wd*p)*r        b <- mu*b + (1 - dampening)*g, on the first step b <- g
///     delta = -lr*b, with nesterov -lr*(g + mu*b)
///
/// Without weight decay r is 1 unless `always_adapt`. State: 4 bytes a parameter with momentum, none without. You, Gitman,
/// Ginsburg, *Large batch training of convolutional networks*, 2017, arXiv:1708.03888, Algorithm 1, which has lr inside the
/// buffer; follows timm.
final class Lars implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("lars", "Layer-wise adaptive rate scaling",
                        "You, Gitman, Ginsburg: Large batch training of convolutional networks, 2017, arXiv:1708.03888")
                .follows("huggingface/pytorch-image-models@aa4b585 timm/optim/lars.py Lars")
                .lr(1.0)
                .option("momentum", 0, Hyperparameter.Range.NON_NEGATIVE, "how much of the buffer is kept each step")
                .option("dampening", 0, Hyperparameter.Range.UNIT, "how much less than all of the gradient joins the buffer")
                .weightDecay(0)
                .flag("nesterov", false, "look one momentum step ahead; needs momentum and no dampening")
                .real("trust_coefficient", 1e-3, Hyperparameter.Range.NON_NEGATIVE, "share of the tensor's norm a step has")
                .eps(1e-8)
                .flag("trust_clip", false, "let no tensor move faster than lr")
                .flag("always_adapt", false, "adapt tensors without weight decay too")
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
        var g = adapted(in);
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

    private static Expr adapted(Inputs in) {
        if (in.flag("always_adapt")) {
            return in.decayedGrad().times(trust(in));
        }
        if (!in.on("weight_decay")) {
            return in.grad();
        }
        var decays = Inputs.positive(in.hyper("weight_decay"));
        return in.decayedGrad().times(Expr.select(decays, trust(in), Inputs.one()));
    }

    private static Expr trust(Inputs in) {
        var ofParam = Inputs.norm(Scope.TENSOR, in.param());
        var ofGrad = Inputs.norm(Scope.TENSOR, in.grad());
        var decay = in.hyper("weight_decay").times(ofParam);
        var ratio = in.hyper("trust_coefficient").times(ofParam).over(ofGrad.plus(decay).plus(in.hyper("eps")));
        var neitherIsZero = Inputs.and(Inputs.positive(ofParam), Inputs.positive(ofGrad));
        var trust = Expr.select(neitherIsZero, ratio, Inputs.one());
        return in.flag("trust_clip") ? Inputs.min(trust.over(in.hyper("lr")), Inputs.one()) : trust;
    }
}
