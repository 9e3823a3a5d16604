package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import java.util.List;

/// MADGRAD as mirror descent: the averaged point moves itself instead of being summed up from the start.
///
///     r = lr + eps, 0 if lr is 0        g <- g + wd*p, or decoupled z <- z - r*wd*z
///     nu <- nu*sqrt((t-1)/t) + g^2        z <- z - r*t^(1/3) * g / (nu^(1/3) + eps)        delta = (1 - mu)*(z - p)
///
/// Where nu and eps are 0 there is no step. State: 8 bytes a parameter; z starts at the parameter. Defazio, Jelassi,
/// *Adaptivity without compromise*, 2021, arXiv:2101.11075; follows facebookresearch/madgrad, mirror_madgrad.py.
final class MirrorMadgrad implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("mirror_madgrad", "MADGRAD as mirror descent",
                        "Defazio, Jelassi: Adaptivity without compromise: a momentumized, adaptive, dual averaged gradient method for stochastic optimization, 2021, arXiv:2101.11075")
                .follows("facebookresearch/madgrad@0d858b9 madgrad/mirror_madgrad.py")
                .lr(0.01)
                .decay("momentum", 0.9, "how much of the way to the averaged point is left each step")
                .weightDecay(0)
                .eps(0)
                .flag("decoupled", false, "decay the averaged point, not the gradient")
                .slot("grad_sum_sq", Spec.Sign.UNSIGNED)
                .slotOfParameter("z")
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        boolean decoupled = in.flag("decoupled");
        var g = decoupled ? in.grad() : in.decayedGrad();
        var rate = Madgrad.rate(in);
        var t = in.t();
        var sumSq = in.slot("grad_sum_sq");
        var point = in.slot("z");
        var nu = sumSq.old().times(Inputs.sqrt(t.minus(1).over(t))).plus(g.squared());
        var step = rate.times(Inputs.pow(t, Expr.constant(1.0 / 3))).times(Madgrad.overCubeRoot(in, g, nu));
        boolean shrinks = decoupled && in.on("weight_decay");
        var old = shrinks ? point.old().minus(rate.times(in.hyper("weight_decay")).times(point.old())) : point.old();
        var z = old.minus(step);
        return List.of(
                in.delta(Inputs.one().minus(in.hyper("momentum")).times(z.minus(in.param()))),
                sumSq.becomes(nu),
                point.becomes(z));
    }
}
