package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import java.util.ArrayList;
import java.util.List;

/// Adam that divides by how far gradients are from their mean instead of how large they are.
///
///     m <- b1*m + (1 - b1)*g        s <- b2*s + (1 - b2)*(g - m)^2 + eps        amsgrad: x <- max(x, s), in place of s below
///     delta = -lr / (1 - b1^t) * m / (sqrt(s) / sqrt(1 - b2^t) + eps)
///     rectify: as RAdam from length 5 on, with sqrt(s) + eps of s itself; before, m alone, or nothing without
///     degenerated_to_sgd
///
/// `s` keeps the `eps` it was given. Weight decay is decoupled as in AdamW, with fixed_decay without `lr`, or coupled.
/// State: 8 bytes a parameter, 4 more with amsgrad. Zhuang et al., *AdaBelief optimizer: adapting stepsizes by the
/// belief in observed gradients*, 2020, arXiv:2010.07468, Algorithm 2; follows adabelief-pytorch 0.2.1.
final class AdaBelief implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("adabelief", "Adam by the belief in gradients",
                        "Zhuang, Tang, Ding, Tatikonda, Dvornek, Papademetris, Duncan: AdaBelief optimizer: adapting stepsizes by the belief in observed gradients, 2020, arXiv:2010.07468")
                .follows("juntang-zhuang/Adabelief-Optimizer@2855178 pypi_packages/adabelief_pytorch0.2.1")
                .lr(1e-3)
                .decay("beta1", 0.9, "how much of the mean gradient is kept each step")
                .decay("beta2", 0.999, "how much of the mean squared deviation is kept each step")
                .eps(1e-16)
                .weightDecay(0)
                .flag("decoupled", true, "decay the parameter as AdamW does, not the gradient")
                .flag("fixed_decay", false, "decoupled decay is not multiplied by the learning rate")
                .flag("rectify", true, "wait with adapting rates until their variance is tractable")
                .flag("degenerated_to_sgd", true, "take steps of plain momentum while waiting")
                .flag("amsgrad", false, "divide by the largest deviation so far; rectified steps do not")
                .slot("exp_avg", Spec.Sign.SIGNED)
                .slot("exp_avg_var", Spec.Sign.UNSIGNED)
                .slot("max_exp_avg_var", Spec.Sign.UNSIGNED)
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var g = in.flag("decoupled") ? in.grad() : in.decayedGrad();
        var beta1 = in.hyper("beta1");
        var beta2 = in.hyper("beta2");
        var eps = in.hyper("eps");
        var expAvg = in.slot("exp_avg");
        var expAvgVar = in.slot("exp_avg_var");
        var m = Inputs.ema(expAvg.old(), g, beta1);
        var s = Inputs.ema(expAvgVar.old(), g.minus(m).squared(), beta2).plus(eps);
        var writes = new ArrayList<>(List.of(expAvg.becomes(m), expAvgVar.becomes(s)));
        var divisor = s;
        if (in.flag("amsgrad")) {
            var maxExpAvgVar = in.slot("max_exp_avg_var");
            divisor = Inputs.max(maxExpAvgVar.old(), s);
            writes.add(maxExpAvgVar.becomes(divisor));
        }
        var root = Inputs.sqrt(divisor).over(Inputs.sqrt(in.biasCorrection(beta2))).plus(eps);
        var direction = in.flag("rectify") ? rectified(in, m, Inputs.sqrt(s).plus(eps)) : m.over(root);
        var step = in.hyper("lr").over(in.biasCorrection(beta1)).negate().times(direction);
        writes.addFirst(in.delta(decayed(in, step)));
        return writes;
    }

    private static Expr rectified(Inputs in, Expr m, Expr root) {
        var beta2 = in.hyper("beta2");
        var rectification = Rectification.of(in, beta2);
        var adapted = rectification.factor().times(Inputs.sqrt(in.biasCorrection(beta2))).times(m).over(root);
        var waiting = in.flag("degenerated_to_sgd") ? m : Expr.constant(0);
        return Expr.select(Inputs.atLeast(rectification.length(), Expr.constant(5)), adapted, waiting);
    }

    private static Expr decayed(Inputs in, Expr step) {
        if (!in.flag("decoupled") || !in.on("weight_decay")) {
            return step;
        }
        return in.flag("fixed_decay")
                ? step.minus(in.hyper("weight_decay").times(in.param()))
                : in.decoupledDecay(step);
    }
}
