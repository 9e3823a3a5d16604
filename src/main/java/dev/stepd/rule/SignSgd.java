package dev.stepd.rule;

import dev.stepd.expr.Program.Assignment;
import java.util.List;

/// The sign of the gradient, nothing else. `sign(0) = 0`.
///
///     delta = -lr*sign(g)
///
/// State: none. Bernstein et al., *signSGD: compressed optimisation for non-convex problems*, 2018, arXiv:1802.04434,
/// Algorithm 1.
final class SignSgd implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("signsgd", "Sign of the gradient",
                        "Bernstein, Wang, Azizzadenesheli, Anandkumar: signSGD: compressed optimisation for non-convex problems, 2018, arXiv:1802.04434")
                .follows("optax 0.2.8 sign_sgd")
                .lr(1e-3)
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        return List.of(in.delta(in.hyper("lr").negate().times(Inputs.sign(in.grad()))));
    }
}
