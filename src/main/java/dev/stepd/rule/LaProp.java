package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Scope;
import java.util.ArrayList;
import java.util.List;

/// Adam with momentum and adaptation the other way round: the mean is of rates times adapted gradients.
///
///     v <- b2*v + (1 - b2)*g^2        centered: a <- b2*a + (1 - b2)*g, after 10 steps v - a^2 in place of v below
///     amsgrad: x <- max(x, v), in place of v below        r = sqrt(v / (1 - b2^t)) + eps
///     m <- b1*m + (1 - b1)*lr*g/r        l <- b1*l + (1 - b1)*lr        u = m * lr/l        p <- (p - u)*(1 - wd)
///
/// `l/lr` is `1 - b1^t` while `lr` stays what it was. Weight decay comes after the step and is not multiplied by `lr`.
/// State: 8 bytes a parameter, 4 more when centered, 4 more with amsgrad, and `exp_avg_lr_1`, one number a tensor.
/// Ziyin, Wang, Ueda, *LaProp: separating momentum and adaptivity in Adam*, 2020, arXiv:2002.04839; follows
/// Z-T-WANG/LaProp-Optimizer.
final class LaProp implements Rule {
    private static final int STEPS_BEFORE_CENTERED = 10;

    @Override
    public Spec spec() {
        return Spec.of("laprop", "Momentum of adapted gradients",
                        "Ziyin, Wang, Ueda: LaProp: separating momentum and adaptivity in Adam, 2020, arXiv:2002.04839")
                .follows("Z-T-WANG/LaProp-Optimizer@a419916 laprop.py")
                .lr(4e-4)
                .decay("beta1", 0.9, "how much of the mean step is kept each step")
                .decay("beta2", 0.999, "how much of the mean squared gradient is kept each step")
                .eps(1e-15)
                .option("weight_decay", 0, Hyperparameter.Range.UNIT, "share that the parameter shrinks by after each step")
                .flag("amsgrad", false, "divide by the largest second moment so far")
                .flag("centered", false, "divide by the deviation instead of the root mean square")
                .moments()
                .slot("exp_mean_avg_beta2", Spec.Sign.SIGNED)
                .slot("max_exp_avg_sq", Spec.Sign.UNSIGNED)
                .slot("exp_avg_lr_1", Scope.TENSOR, Spec.Sign.UNSIGNED, 0)
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var g = in.grad();
        var lr = in.hyper("lr");
        var beta1 = in.hyper("beta1");
        var expAvg = in.slot("exp_avg");
        var expAvgLr = in.slot("exp_avg_lr_1");
        var writes = new ArrayList<Assignment>();
        var divisor = divisor(in, g, writes);
        var root = Inputs.sqrt(divisor.over(in.biasCorrection(in.hyper("beta2")))).plus(in.hyper("eps"));
        var m = beta1.times(expAvg.old()).plus(Inputs.one().minus(beta1).times(lr).times(g.over(root)));
        var l = Inputs.ema(expAvgLr.old(), lr, beta1);
        var correction = Expr.select(Inputs.greater(lr, Expr.constant(0)), lr.over(l), Inputs.one());
        var step = correction.negate().times(m);
        writes.addFirst(in.delta(in.on("weight_decay") ? in.decayedAfter(step, in.hyper("weight_decay")) : step));
        writes.add(expAvg.becomes(m));
        writes.add(expAvgLr.becomes(l));
        return writes;
    }

    private static Expr divisor(Inputs in, Expr g, List<Assignment> writes) {
        var beta2 = in.hyper("beta2");
        var expAvgSq = in.slot("exp_avg_sq");
        var v = Inputs.ema(expAvgSq.old(), g.squared(), beta2);
        writes.add(expAvgSq.becomes(v));
        var divisor = v;
        var settled = Inputs.greater(in.t(), Expr.constant(STEPS_BEFORE_CENTERED));
        if (in.flag("centered")) {
            var mean = in.slot("exp_mean_avg_beta2");
            var a = Inputs.ema(mean.old(), g, beta2);
            writes.add(mean.becomes(a));
            divisor = Expr.select(settled, Inputs.max(v.minus(a.squared()), Expr.constant(0)), v);
        }
        if (in.flag("amsgrad")) {
            var maxExpAvgSq = in.slot("max_exp_avg_sq");
            var largest = Inputs.max(maxExpAvgSq.old(), divisor);
            divisor = in.flag("centered") ? Expr.select(settled, largest, divisor) : largest;
            writes.add(maxExpAvgSq.becomes(
                    in.flag("centered") ? Expr.select(settled, largest, maxExpAvgSq.old()) : largest));
        }
        return divisor;
    }
}
