package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import java.util.List;

/// Adam whose second moment moves by at most a share of the squared gradient, up or down.
///
///     m <- b1*m + (1 - b1)*g        v <- v - (1 - b2)*sign(v - g^2)*g^2
///     delta = -lr / (1 - b1^t) * m / (sqrt(v / (1 - b2^t)) + eps)
///
/// State: 8 bytes a parameter, starting at `initial_accumulator_m` and `initial_accumulator`. Zaheer et al., *Adaptive
/// methods for nonconvex optimization*, NeurIPS 2018, Algorithm 2; follows optax (TensorFlow Addons starts m at 0).
final class Yogi implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("yogi", "Adam with an additive second moment",
                        "Zaheer, Reddi, Sachan, Kale, Kumar: Adaptive methods for nonconvex optimization, NeurIPS 2018")
                .follows("optax 0.2.8 scale_by_yogi")
                .lr(0.01)
                .decay("beta1", 0.9, "how much of the mean gradient is kept each step")
                .decay("beta2", 0.999, "how much of the second moment is kept each step")
                .eps(1e-3)
                .real("initial_accumulator", 1e-6, Hyperparameter.Range.NON_NEGATIVE, "what the second moment starts at")
                .real("initial_accumulator_m", 1e-6, Hyperparameter.Range.NON_NEGATIVE, "what the mean gradient starts at")
                .slot("exp_avg", Spec.Sign.SIGNED, new Expr.Hyper("initial_accumulator_m"))
                .slot("exp_avg_sq", Spec.Sign.UNSIGNED, new Expr.Hyper("initial_accumulator"))
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var g = in.grad();
        var beta1 = in.hyper("beta1");
        var beta2 = in.hyper("beta2");
        var expAvg = in.slot("exp_avg");
        var expAvgSq = in.slot("exp_avg_sq");
        var m = Inputs.ema(expAvg.old(), g, beta1);
        var square = g.squared();
        var direction = Inputs.sign(expAvgSq.old().minus(square));
        var v = expAvgSq.old().minus(Inputs.one().minus(beta2).times(direction).times(square));
        var root = Inputs.sqrt(v.over(in.biasCorrection(beta2))).plus(in.hyper("eps"));
        var rate = in.hyper("lr").over(in.biasCorrection(beta1));
        return List.of(in.delta(rate.negate().times(m.over(root))), expAvg.becomes(m), expAvgSq.becomes(v));
    }
}
