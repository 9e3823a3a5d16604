package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Scope;
import java.util.ArrayList;
import java.util.List;

/// Adam that hands over to SGD, each tensor when the SGD rate its steps amount to has settled.
///
///     g <- g + wd*p        Adam: d = -lr*sqrt(1 - b2^t)/(1 - b1^t) * m / (sqrt(v) + eps)
///     if <d, g> is not 0: y = -<d, d>/<d, g>,  l <- b2*l + (1 - b2)*y,  and if after the first step
///     h = l/(1 - b2^t) > 0 and |h - y| <= 1e-8 + switch_rtol*|y|: SGD with lr = h from the next step on
///     SGD: b <- b1*b + g        d = -lr*(1 - b1)*b, with nesterov -lr*b
///
/// delta = d, decoupled also -lr*wd*p; with `amsgrad` the largest v so far takes v's place in d. `lr` is state once a tensor
/// has switched. State: 12 bytes a parameter, 4 more with amsgrad, and three numbers a tensor. Keskar, Socher, *Improving
/// generalization performance by switching from Adam to SGD*, 2017, arXiv:1712.07628, Algorithm 1, which switches all tensors
/// at once; follows kozistr/pytorch_optimizer with every tensor its own group.
final class Swats implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("swats", "Switches from Adam to SGD",
                        "Keskar, Socher: Improving generalization performance by switching from Adam to SGD, 2017, arXiv:1712.07628")
                .follows("kozistr/pytorch_optimizer@7a076d2 pytorch_optimizer/optimizer/swats.py (exp_avg_sq_eps=0)")
                .lr(1e-3)
                .betas(0.9, 0.999)
                .eps(1e-6)
                .weightDecay(0)
                .flag("amsgrad", false, "divide by the largest second moment so far")
                .flag("nesterov", false, "look one momentum step ahead after the switch")
                .flag("decoupled", false, "decay the parameter as AdamW does, not the gradient")
                .real("switch_rtol", 1e-6, Hyperparameter.Range.NON_NEGATIVE, "how near estimates of the rate must be to switch")
                .moments()
                .slot("max_exp_avg_sq", Spec.Sign.UNSIGNED)
                .slot("momentum_buffer", Spec.Sign.SIGNED)
                .slot("exp_avg2", Scope.TENSOR, Spec.Sign.SIGNED, 0)
                .slot("lr", Scope.TENSOR, Spec.Sign.UNSIGNED, new Expr.Hyper("lr"))
                .slot("phase", Scope.TENSOR, Spec.Sign.UNSIGNED, 0)
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        boolean decoupled = in.flag("decoupled");
        var g = decoupled ? in.grad() : in.decayedGrad();
        var phase = in.slot("phase");
        var rate = in.slot("lr");
        var buffer = in.slot("momentum_buffer");
        var switched = Inputs.positive(phase.old());
        var lr = Expr.select(switched, rate.old(), in.hyper("lr"));
        var writes = new ArrayList<Assignment>();
        var adam = adam(in, g, switched, writes);
        var settling = Settling.of(in, g, adam);
        var turns = Expr.select(switched, Expr.constant(0), settling.turns);
        var b = Expr.select(switched, in.hyper("beta1").times(buffer.old()).plus(g), buffer.old());
        var ahead = in.flag("nesterov") ? b : Inputs.one().minus(in.hyper("beta1")).times(b);
        var step = Expr.select(switched, lr.negate().times(ahead), adam);
        writes.addFirst(in.delta(decoupled ? in.decoupledDecay(step, lr) : step));
        writes.add(buffer.becomes(b));
        writes.add(until(switched, in.slot("exp_avg2"), settling.mean));
        writes.add(rate.becomes(Expr.select(Inputs.positive(turns), settling.rate, lr)));
        writes.add(phase.becomes(phase.old().plus(turns)));
        return writes;
    }

    private static Expr adam(Inputs in, Expr g, Expr switched, List<Assignment> writes) {
        var beta1 = in.hyper("beta1");
        var beta2 = in.hyper("beta2");
        var expAvg = in.slot("exp_avg");
        var expAvgSq = in.slot("exp_avg_sq");
        var m = Inputs.ema(expAvg.old(), g, beta1);
        var v = Inputs.ema(expAvgSq.old(), g.squared(), beta2);
        writes.add(until(switched, expAvg, m));
        writes.add(until(switched, expAvgSq, v));
        if (in.flag("amsgrad")) {
            var largest = in.slot("max_exp_avg_sq");
            v = Inputs.max(largest.old(), v);
            writes.add(until(switched, largest, v));
        }
        var rate = in.hyper("lr").times(Inputs.sqrt(in.biasCorrection(beta2))).over(in.biasCorrection(beta1));
        return rate.negate().times(m.over(Inputs.sqrt(v).plus(in.hyper("eps"))));
    }

    /// What SGD has no use for stays as it was.
    private static Assignment until(Expr switched, Inputs.Slot slot, Expr value) {
        return slot.becomes(Expr.select(switched, slot.old(), value));
    }

    /// The rate of SGD that Adam's steps amount to.
    ///
    /// @param mean its running mean
    /// @param rate the mean corrected for its start
    /// @param turns 1 if it has settled, else 0
    private record Settling(Expr mean, Expr rate, Expr turns) {
        static Settling of(Inputs in, Expr g, Expr step) {
            var beta2 = in.hyper("beta2");
            var old = in.slot("exp_avg2").old();
            var along = Inputs.dot(Scope.TENSOR, step, g);
            var estimate = Inputs.dot(Scope.TENSOR, step, step).over(along).negate();
            var moves = Inputs.positive(Inputs.abs(along));
            var mean = Expr.select(moves, Inputs.ema(old, estimate, beta2), old);
            var rate = mean.over(in.biasCorrection(beta2));
            var tolerance = in.hyper("switch_rtol").times(Inputs.abs(estimate)).plus(1e-8);
            var near = Inputs.atLeast(tolerance, Inputs.abs(rate.minus(estimate)));
            var settled = Inputs.and(Inputs.and(moves, near), Inputs.positive(rate));
            var zero = Expr.constant(0);
            var turns = Expr.select(in.first(), zero, Expr.select(settled, Inputs.one(), zero));
            return new Settling(mean, rate, turns);
        }
    }
}
