package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import java.util.List;

/// Momentum whose coefficient is a complex number: it remembers with a phase, which damps the rotation of games where players
/// chase each other. With an argument of 0 it is classical momentum.
///
///     mu <- B*mu - g, with B = beta*e^(i*beta_arg)        delta = lr*Re(mu)
///
/// State: 8 bytes a parameter, the real and the imaginary part of mu. Lorraine, Acuna, Vicol, Duvenaud, *Complex momentum for
/// optimization in games*, 2021, arXiv:2102.08431: simultaneous updates, with a real learning rate.
final class ComplexMomentum implements Rule {
    private static final Hyperparameter.Range ANGLE = new Hyperparameter.Range(-Math.PI, Math.PI, true);

    @Override
    public Spec spec() {
        return Spec.of("complex_momentum", "Complex momentum",
                        "Lorraine, Acuna, Vicol, Duvenaud: Complex momentum for optimization in games, 2021, arXiv:2102.08431")
                .follows("the paper's own formulation")
                .lr(1e-2)
                .decay("beta", 0.9, "magnitude of the coefficient: how much of the buffer is kept each step")
                .real("beta_arg", Math.PI / 8, ANGLE, "argument of the coefficient: how far the buffer turns each step, in radians")
                .maximize()
                .slot("momentum_real", Spec.Sign.SIGNED)
                .slot("momentum_imag", Spec.Sign.SIGNED)
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var real = in.slot("momentum_real");
        var imaginary = in.slot("momentum_imag");
        // By way of a quarter of the angle: beyond a quarter turn's half the library allocates, and steps do not.
        var half = Turn.by(in.hyper("beta_arg").over(4)).doubled();
        var turn = half.doubled();
        var along = in.hyper("beta").times(turn.cos);
        var across = in.hyper("beta").times(turn.sin);
        var re = along.times(real.old()).minus(across.times(imaginary.old())).minus(in.grad());
        var im = across.times(real.old()).plus(along.times(imaginary.old()));
        return List.of(in.delta(in.hyper("lr").times(re)), real.becomes(re), imaginary.becomes(im));
    }

    /// A complex number of magnitude 1.
    private record Turn(Expr cos, Expr sin) {
        static Turn by(Expr angle) {
            return new Turn(Inputs.cos(angle), Inputs.sin(angle));
        }

        Turn doubled() {
            return new Turn(Inputs.one().minus(sin.squared().times(2)), sin.times(cos).times(2));
        }
    }
}
