package dev.stepd.rule;

import dev.stepd.expr.Program.Assignment;
import java.util.List;

/// Quasi-hyperbolic momentum: a step between the gradient and its running mean, which is not corrected for its start.
///
///     m <- mu*m + (1 - mu)*g        delta = -lr*(nu*m + (1 - nu)*g)
///
/// Weight decay is coupled (`grad`), or decoupled as in AdamW (`direct`). State: 4 bytes a parameter. Ma, Yarats,
/// *Quasi-hyperbolic momentum and Adam for deep learning*, 2018, arXiv:1810.06801; follows
/// facebookresearch/qhoptim.
final class Qhm implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("qhm", "Quasi-hyperbolic momentum",
                        "Ma, Yarats: Quasi-hyperbolic momentum and Adam for deep learning, 2018, arXiv:1810.06801")
                .follows("facebookresearch/qhoptim@e81dea3 qhoptim/pyt/qhm.py")
                .lr(1e-3)
                .decay("momentum", 0.999, "how much of the mean gradient is kept each step")
                .real("nu", 0.7, Hyperparameter.Range.UNIT, "how much of the step is the mean, the rest being the gradient")
                .weightDecay(0)
                .choice("weight_decay_type", "whether decay joins the gradient or the parameter", "grad", "direct")
                .slot("momentum_buffer", Spec.Sign.SIGNED)
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        boolean direct = in.chosen("weight_decay_type", "direct");
        var g = direct ? in.grad() : in.decayedGrad();
        var nu = in.hyper("nu");
        var buffer = in.slot("momentum_buffer");
        var m = Inputs.ema(buffer.old(), g, in.hyper("momentum"));
        var step = in.hyper("lr").negate().times(Inputs.ema(m, g, nu));
        return List.of(in.delta(direct ? in.decoupledDecay(step) : step), buffer.becomes(m));
    }
}
