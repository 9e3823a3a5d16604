package dev.stepd.rule;

import dev.stepd.expr.Program.Assignment;
import java.util.List;

/// The sign of the momentum, which is a running mean that starts at zero and is not corrected for it.
///
///     m <- mu*m + (1 - mu)*g        delta = -lr*sign(m)
///
/// State: 4 bytes a parameter. Bernstein et al., *signSGD*, 2018, arXiv:1802.04434, Algorithm 2; follows optax.
final class Signum implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("signum", "Sign of the momentum",
                        "Bernstein, Wang, Azizzadenesheli, Anandkumar: signSGD: compressed optimisation for non-convex problems, 2018, arXiv:1802.04434")
                .follows("optax 0.2.8 signum")
                .lr(1e-3)
                .decay("momentum", 0.9, "how much of the momentum is kept each step")
                .slot("momentum_buffer", Spec.Sign.SIGNED)
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var buffer = in.slot("momentum_buffer");
        var m = Inputs.ema(buffer.old(), in.grad(), in.hyper("momentum"));
        return List.of(in.delta(in.hyper("lr").negate().times(Inputs.sign(m))), buffer.becomes(m));
    }
}
