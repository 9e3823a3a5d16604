package dev.stepd.rule;

import dev.stepd.expr.Program.Assignment;
import java.util.List;

/// AdaBound whose denominator never falls: the largest second moment so far, as in AMSGrad.
///
///     m, v as Adam        x <- max(x, v)        delta as AdaBound, with x for v
///
/// State: 12 bytes a parameter. Luo, Xiong, Liu, Sun, *Adaptive gradient methods with dynamic bound of learning rate*,
/// 2019, arXiv:1902.09843, Algorithm 3; follows Luolc/AdaBound.
final class AmsBound implements Rule {
    @Override
    public Spec spec() {
        return AdaBound.settings(Spec.of("amsbound", "AMSGrad that ends as SGD",
                        "Luo, Xiong, Liu, Sun: Adaptive gradient methods with dynamic bound of learning rate, ICLR 2019, arXiv:1902.09843")
                .follows("Luolc/AdaBound@2e928c3 adabound/adabound.py"))
                .moments()
                .slot("max_exp_avg_sq", Spec.Sign.UNSIGNED)
                .ageless()
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var g = AdaBound.gradient(in);
        var expAvg = in.slot("exp_avg");
        var expAvgSq = in.slot("exp_avg_sq");
        var maxExpAvgSq = in.slot("max_exp_avg_sq");
        var m = Inputs.ema(expAvg.old(), g, in.hyper("beta1"));
        var v = Inputs.ema(expAvgSq.old(), g.squared(), in.hyper("beta2"));
        var largest = Inputs.max(maxExpAvgSq.old(), v);
        return List.of(
                in.delta(AdaBound.bounded(in, m, largest)),
                expAvg.becomes(m),
                expAvgSq.becomes(v),
                maxExpAvgSq.becomes(largest));
    }
}
