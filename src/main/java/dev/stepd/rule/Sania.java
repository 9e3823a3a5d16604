package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Scope;
import java.util.List;

/// SANIA: Polyak's step from the loss itself, in the metric of Adam's or Adagrad's mean squares, so that no rate needs
/// tuning. One step size for all tensors of a step; the least loss possible is taken to be 0, and what is below counts as 0.
///
///     s <- b2*s + (1 - b2)*g^2, s' = s / (1 - b2^t)     (adam)     or     s <- s + g^2, s' = s     (adagrad)
///     B = max(s', eps), its root with is_sqrt        u = g / B        N = <u, g> over all tensors
///     a = 1 - sqrt(1 - 2*loss / N) if 2*loss < N, else 1
///     delta = -lr*a*u
///
/// `lr` is a share of Polyak's step, which schedules may move: at 1, the default, this is the published method, whose code
/// takes a rate and leaves it unused.
///
/// State: 4 bytes a parameter and `step_size` (a) for the session. Abdukhakimov, Xiang, Kamzolov, Gower, Takac, *SANIA:
/// Polyak-type optimization framework leads to scale invariant stochastic algorithms*, 2023, arXiv:2312.17369; follows
/// the authors' SANIA_AdamSQR and SANIA_AdagradSQR.
final class Sania implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("sania", "SANIA with AdaGrad-SQR and Adam-SQR",
                        "Abdukhakimov, Xiang, Kamzolov, Gower, Takac: SANIA: Polyak-type optimization framework leads to"
                                + " scale invariant stochastic algorithms, 2023, arXiv:2312.17369")
                .follows("fxrshed/SANIA@ce6662f SANIA/sania_adam_sqr.py, SANIA/sania_adagrad_sqr.py")
                .real("lr", 1, Hyperparameter.Range.NON_NEGATIVE, "share of Polyak's step that is taken")
                .choice("base", "whether squared gradients are averaged or added up", "adam", "adagrad")
                .decay("beta2", 0.999, "how much of the mean squared gradient is kept each step, with adam")
                .real("eps", 0.1, Hyperparameter.Range.POSITIVE, "the least the squares count as")
                .flag("is_sqrt", false, "whether gradients are divided by the root of the squares, as Adam does")
                .shared("loss_scale", 1, Hyperparameter.Range.POSITIVE, "what the loss is multiplied by")
                .slot("sum", Spec.Sign.UNSIGNED)
                .slot("step_size", Scope.SESSION, Spec.Sign.SIGNED, 0)
                .input("loss", Scope.SESSION, Spec.Presence.EVERY_STEP,
                        "value of the loss that the gradients are of; its minimum is taken to be 0")
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var g = in.grad();
        var beta2 = in.hyper("beta2");
        var sum = in.slot("sum");
        var adds = in.chosen("base", "adagrad");
        var s = adds ? sum.old().plus(g.squared()) : Inputs.ema(sum.old(), g.squared(), beta2);
        var corrected = adds ? s : s.over(in.biasCorrection(beta2));
        var metric = Inputs.max(corrected, in.hyper("eps"));
        var u = g.over(in.flag("is_sqrt") ? Inputs.sqrt(metric) : metric);
        var norm = Inputs.dot(Scope.SESSION, u, g);
        var loss = Inputs.max(in.input("loss"), Expr.constant(0)).times(in.hyper("loss_scale"));
        var left = Inputs.one().minus(loss.times(2).over(norm));
        var share = Expr.select(Inputs.positive(left), Inputs.one().minus(Inputs.sqrt(left)), Inputs.one());
        return List.of(
                in.delta(in.hyper("lr").times(share).negate().times(u)),
                sum.becomes(s),
                in.slot("step_size").becomes(share));
    }
}
