package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import java.util.List;

/// Resilient propagation: a step size of its own for each parameter, which grows while the sign of the gradient stays and
/// shrinks where it turns. Where it turns, this step is left out and the next sees no sign before it.
///
///     q = sign(g * g_before)        s <- s*eta_plus if q > 0, s*eta_minus if q < 0, between the bounds
///     g <- 0 if q < 0        delta = -sign(g)*s
///
/// State: 8 bytes a parameter; step sizes start at `lr`, which has no further use. Riedmiller, Braun, *A direct adaptive
/// method for faster backpropagation learning: the RPROP algorithm*, ICNN 1993; follows torch.optim.Rprop.
final class Rprop implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("rprop", "Resilient propagation",
                        "Riedmiller, Braun: A direct adaptive method for faster backpropagation learning: the RPROP algorithm, ICNN 1993")
                .follows("torch 2.13.0 torch.optim.Rprop")
                .lr(0.01)
                .real("eta_minus", 0.5, Hyperparameter.Range.DECAY, "what a step size shrinks by where the sign turns")
                .real("eta_plus", 1.2, Hyperparameter.Range.GROWTH, "what a step size grows by where the sign stays")
                .stepSizes(1e-6, 50)
                .maximize()
                .slot("prev", Spec.Sign.SIGNED)
                .slot("step_size", Spec.Sign.UNSIGNED, new Expr.Hyper("lr"))
                .fine("it grows by factors that codes would round away")
                .build();
    }

    @Override
    public void check(Settings settings) {
        settings.checkOrder("step_size_min", "step_size_max");
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var prev = in.slot("prev");
        var stepSize = in.slot("step_size");
        var zero = Expr.constant(0);
        var agreement = in.grad().times(prev.old());
        var stays = Inputs.positive(agreement);
        var turns = Inputs.greater(zero, agreement);
        var old = stepSize.old();
        var shrunk = Expr.select(turns, in.hyper("eta_minus").times(old), old);
        var scaled = Expr.select(stays, in.hyper("eta_plus").times(old), shrunk);
        var s = Inputs.min(Inputs.max(scaled, in.hyper("step_size_min")), in.hyper("step_size_max"));
        var g = Expr.select(turns, zero, in.grad());
        return List.of(in.delta(Inputs.sign(g).negate().times(s)), prev.becomes(g), stepSize.becomes(s));
    }
}
