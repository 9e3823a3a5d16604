package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.tensor.TensorSpec;
import java.util.List;

/// SGD with momentum whose steps do not lengthen scale-invariant weights.
///
///     b <- mu*b + (1 - dampening)*g        s = b, with nesterov g + mu*b
///     s, rho <- the projection of s where there are rows ([Projection]), else s, 1
///     delta = -lr*wd*rho/(1 - mu)*p - lr*s        without nesterov `project_buffer` keeps s for b
///
/// State: 4 bytes a parameter. Heo et al., *AdamP: slowing down the slowdown for momentum optimizers on scale-invariant
/// weights*, 2020, arXiv:2006.08217, Algorithm 1, which does not project the buffer; the authors' code, clovaai/AdamP, does.
final class Sgdp implements Rule {
    @Override
    public Spec spec() {
        return AdamP.settings(Spec.of("sgdp", "SGD that does not lengthen scale-invariant weights",
                        "Heo, Chun, Oh, Han, Yun, Kim, Uh, Ha: AdamP: slowing down the slowdown for momentum optimizers on scale-invariant weights, 2020, arXiv:2006.08217")
                .follows("clovaai/AdamP@7f6f038 adamp/sgdp.py; timm@aa4b585 timm/optim/sgdp.py without project_buffer")
                .lr(0.1)
                .decay("momentum", 0, "how much of the buffer is kept each step")
                .option("dampening", 0, Hyperparameter.Range.UNIT, "how much less than all of the gradient joins the buffer"))
                .flag("project_buffer", true, "keep the projected buffer, as the authors' code does without nesterov")
                .slot("momentum_buffer", Spec.Sign.SIGNED)
                .ageless()
                .build();
    }

    @Override
    public List<View> views(List<TensorSpec> tensors, Settings settings) {
        return View.matricesAndVectors(tensors);
    }

    @Override
    public List<String> kinds() {
        return View.MATRICES_AND_VECTORS;
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var momentum = in.hyper("momentum");
        var buffer = in.slot("momentum_buffer");
        var b = momentum.times(buffer.old()).plus(Inputs.one().minus(in.hyper("dampening")).times(in.grad()));
        boolean nesterov = in.flag("nesterov");
        Expr ahead = nesterov ? in.grad().plus(momentum.times(b)) : b;
        var projected = in.is(View.MATRIX) ? Projection.of(in, ahead) : Projection.none(ahead);
        var rate = in.hyper("lr").times(projected.decay()).over(Inputs.one().minus(momentum));
        var delta = in.decoupledDecay(in.hyper("lr").negate().times(projected.step()), rate);
        boolean keepsProjected = !nesterov && in.flag("project_buffer");
        return List.of(in.delta(delta), buffer.becomes(keepsProjected ? projected.step() : b));
    }
}
