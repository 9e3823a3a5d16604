package dev.stepd.rule;

import dev.stepd.expr.Program.Assignment;
import java.util.List;

/// Adam with friction: an element whose gradient hardly changes moves half as far.
///
///     g <- g + wd*p        m, v as Adam        k = sigmoid(|g_before - g|), g_before = 0 on the first step
///     delta = -lr*sqrt(1 - b2^t) / (1 - b1^t) * k*m / (sqrt(v) + eps)
///
/// State: 12 bytes a parameter; `previous_grad` is the decayed gradient. Dubey et al., *diffGrad: an optimization
/// method for convolutional neural networks*, 2019, arXiv:1909.11015; follows diffGrad_v2 of the authors.
final class DiffGrad implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("diffgrad", "Adam with friction by gradient change",
                        "Dubey, Chakraborty, Roy, Mukherjee, Singh, Chaudhuri: diffGrad: an optimization method for convolutional neural networks, 2019, arXiv:1909.11015")
                .follows("shivram1987/diffGrad@73233ba diffGrad_v2.py")
                .lr(1e-3)
                .betas(0.9, 0.999)
                .eps(1e-8)
                .weightDecay(0)
                .moments()
                .slot("previous_grad", Spec.Sign.SIGNED)
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
        var previousGrad = in.slot("previous_grad");
        var m = Inputs.ema(expAvg.old(), g, beta1);
        var v = Inputs.ema(expAvgSq.old(), g.squared(), beta2);
        var k = Inputs.sigmoid(Inputs.abs(previousGrad.old().minus(g)));
        var rate = in.hyper("lr").times(Inputs.sqrt(in.biasCorrection(beta2))).over(in.biasCorrection(beta1));
        var root = Inputs.sqrt(v).plus(in.hyper("eps"));
        return List.of(
                in.delta(rate.negate().times(m.times(k)).over(root)),
                expAvg.becomes(m),
                expAvgSq.becomes(v),
                previousGrad.becomes(g));
    }
}
