package dev.stepd.rule;

import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Scope;
import java.util.List;

/// Nesterov momentum over the root mean square of the hyperbolic cosine of its direction, which is a little above 1 and
/// grows with what few elements dominate the tensor.
///
///     m <- mu*m + (1 - mu)*g        d = (1 - mu)*g + mu*m        r = sqrt(mean(cosh(gamma*d / (|d| + 1e-7))^2))
///     delta = -lr*wd*p - lr*d / (r + 1e-8)
///
/// Norm and mean are the tensor's. State: 4 bytes a parameter. Maity, *AuON: a linear-time alternative to orthogonal
/// momentum updates*, 2025, arXiv:2509.24320; follows ryyzn9/AuON, which divides d itself and not its direction.
final class AuON implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("auon", "Momentum contracted by hyperbolic cosines",
                        "Maity: AuON: a linear-time alternative to orthogonal momentum updates, 2025, arXiv:2509.24320")
                .follows("ryyzn9/AuON@bba2e82 auon/optimizer.py")
                .lr(0.24)
                .decay("momentum", 0.95, "how much of the mean gradient is kept each step")
                .weightDecay(0)
                .real("gamma", 1.5, Hyperparameter.Range.NON_NEGATIVE, "how strongly large elements contract the step")
                .slot("momentum_buffer", Spec.Sign.SIGNED)
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var g = in.grad();
        var momentum = in.hyper("momentum");
        var buffer = in.slot("momentum_buffer");
        var m = Inputs.ema(buffer.old(), g, momentum);
        var d = Inputs.ema(m, g, momentum);
        var scale = in.hyper("gamma").over(Inputs.norm(Scope.TENSOR, d).plus(1e-7));
        var squares = Inputs.cosh(scale.times(d)).squared();
        var r = Inputs.sqrt(Inputs.mean(Scope.TENSOR, squares)).plus(1e-8);
        var step = in.hyper("lr").over(r).negate().times(d);
        return List.of(in.delta(in.decoupledDecay(step)), buffer.becomes(m));
    }
}
