package dev.stepd.rule;

import dev.stepd.expr.Program.Assignment;
import java.util.ArrayList;
import java.util.List;

/// Adam that is only partially adaptive: a power of the denominator between Adam's, 1/2, and that of SGD, 0.
///
///     g <- g + wd*p        m, v as Adam        amsgrad: x <- max(x, v), in place of v below
///     delta = -lr*sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + eps)^(2*partial)
///
/// `eps` is raised to the power too, the bias correction is not. State: 8 bytes a parameter, 4 more with amsgrad. Chen
/// et al., *Closing the generalization gap of adaptive gradient methods in training deep neural networks*, 2018,
/// arXiv:1806.06763; follows uclaml/Padam.
final class Padam implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("padam", "Partially adaptive Adam",
                        "Chen, Zhou, Tang, Yang, Cao, Gu: Closing the generalization gap of adaptive gradient methods in training deep neural networks, 2018, arXiv:1806.06763")
                .follows("uclaml/Padam@586a02b Padam.py")
                .lr(0.1)
                .betas(0.9, 0.999)
                .eps(1e-8)
                .weightDecay(0)
                .real("partial", 0.25, Hyperparameter.Range.UNIT, "the power of the second moment that divides; Adam's is 0.5")
                .flag("amsgrad", true, "divide by the largest second moment so far")
                .moments()
                .slot("max_exp_avg_sq", Spec.Sign.UNSIGNED)
                .ageless()
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var g = in.decayedGrad();
        var beta1 = in.hyper("beta1");
        var beta2 = in.hyper("beta2");
        var expAvg = in.slot("exp_avg");
        var expAvgSq = in.slot("exp_avg_sq");
        var m = Inputs.ema(expAvg.old(), g, beta1);
        var v = Inputs.ema(expAvgSq.old(), g.squared(), beta2);
        var writes = new ArrayList<>(List.of(expAvg.becomes(m), expAvgSq.becomes(v)));
        var divisor = v;
        if (in.flag("amsgrad")) {
            var maxExpAvgSq = in.slot("max_exp_avg_sq");
            divisor = Inputs.max(maxExpAvgSq.old(), v);
            writes.add(maxExpAvgSq.becomes(divisor));
        }
        var root = Inputs.sqrt(divisor).plus(in.hyper("eps"));
        var power = Inputs.pow(root, in.hyper("partial").times(2));
        var rate = in.hyper("lr").times(Inputs.sqrt(in.biasCorrection(beta2))).over(in.biasCorrection(beta1));
        writes.addFirst(in.delta(rate.negate().times(m.over(power))));
        return writes;
    }
}
