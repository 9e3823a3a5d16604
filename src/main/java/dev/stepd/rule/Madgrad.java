package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import java.util.ArrayList;
import java.util.List;

/// Dual averaging from the starting point, with the cube root of weighted squares, and momentum towards it.
///
///     r = lr + eps, 0 if lr is 0        k = r*sqrt(t)        g <- g + wd*p
///     nu <- nu + k*g^2        s <- s + k*g        z = x0 - s / (nu^(1/3) + eps)
///     delta = (1 - mu)*(z - p), decoupled also -r*wd*p
///
/// Where nu and eps are 0 there is no step. Without momentum x0 is not kept: a step is the change of `s / (nu^(1/3) + eps)`.
/// State: 12 bytes a parameter, 8 without momentum. Defazio, Jelassi, *Adaptivity without compromise: a momentumized,
/// adaptive, dual averaged gradient method for stochastic optimization*, 2021, arXiv:2101.11075, Algorithm 1; follows
/// facebookresearch/madgrad.
final class Madgrad implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("madgrad", "Momentumized, adaptive dual averaging",
                        "Defazio, Jelassi: Adaptivity without compromise: a momentumized, adaptive, dual averaged gradient method for stochastic optimization, 2021, arXiv:2101.11075")
                .follows("facebookresearch/madgrad@0d858b9 madgrad/madgrad.py")
                .lr(0.01)
                .option("momentum", 0.9, Hyperparameter.Range.DECAY, "how much of the way to the averaged point is left")
                .weightDecay(0)
                .eps(1e-6)
                .flag("decoupled", false, "decay the parameter as AdamW does, not the gradient")
                .slot("grad_sum_sq", Spec.Sign.UNSIGNED)
                .slot("s", Spec.Sign.SIGNED)
                .slotOfParameter("x0")
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        boolean decoupled = in.flag("decoupled");
        var g = decoupled ? in.grad() : in.decayedGrad();
        var rate = rate(in);
        var weight = rate.times(Inputs.sqrt(in.t()));
        var sumSq = in.slot("grad_sum_sq");
        var sum = in.slot("s");
        var nu = sumSq.old().plus(weight.times(g.squared()));
        var s = sum.old().plus(weight.times(g));
        var writes = new ArrayList<>(List.of(sumSq.becomes(nu), sum.becomes(s)));
        var way = overCubeRoot(in, s, nu).negate();
        if (in.on("momentum")) {
            var start = in.slot("x0");
            way = Inputs.one().minus(in.hyper("momentum")).times(start.old().minus(in.param()).plus(way));
        } else {
            way = overCubeRoot(in, sum.old(), sumSq.old()).plus(way);
        }
        writes.addFirst(in.delta(decoupled ? in.decoupledDecay(way, rate) : way));
        return writes;
    }

    /// The learning rate, to which the authors add `eps`.
    static Expr rate(Inputs in) {
        var lr = in.hyper("lr");
        return Expr.select(Inputs.positive(lr), lr.plus(in.hyper("eps")), lr);
    }

    /// `x / (nu^(1/3) + eps)`, and 0 where that divides by 0.
    static Expr overCubeRoot(Inputs in, Expr x, Expr nu) {
        var root = Inputs.pow(nu, Expr.constant(1.0 / 3)).plus(in.hyper("eps"));
        return Expr.select(Inputs.positive(root), x.over(root), Expr.constant(0));
    }
}
