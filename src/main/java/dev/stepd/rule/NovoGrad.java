package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import java.util.ArrayList;
import java.util.List;

/// Momentum of gradients that each tensor divides by its own running norm: one second moment a tensor, without bias
/// correction.
///
///     N = |g|^2        v <- b2*v + (1 - b2)*N, v <- N if v is 0        amsgrad: x <- max(x, v), in place of v below
///     g <- g / (sqrt(v) + eps) + wd*p, times 1 - b1 with grad_averaging        m <- b1*m + g        delta = -lr*m
///
/// State: 4 bytes a parameter and `exp_avg_sq`, one number a tensor. Ginsburg et al., *Stochastic gradient methods with
/// layer-wise adaptive moments for training of deep networks*, 2019, arXiv:1905.11286, Algorithm 1; follows NVIDIA's
/// code.
final class NovoGrad implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("novograd", "Momentum of normalized gradients",
                        "Ginsburg, Castonguay, Hrinchuk, Kuchaiev, Lavrukhin, Leary, Li, Nguyen, Zhang, Cohen: Stochastic gradient methods with layer-wise adaptive moments for training of deep networks, 2019, arXiv:1905.11286")
                .follows("huggingface/pytorch-image-models@aa4b585 timm/optim/nvnovograd.py (NVIDIA original)")
                .lr(1e-3)
                .decay("beta1", 0.95, "how much of the momentum is kept each step")
                .decay("beta2", 0.98, "how much of the mean squared norm is kept each step")
                .eps(1e-8)
                .weightDecay(0)
                .flag("grad_averaging", false, "let momentum be a mean instead of a sum")
                .flag("amsgrad", false, "divide by the largest second moment so far")
                .slot("exp_avg", Spec.Sign.SIGNED)
                .slot("exp_avg_sq", Scope.TENSOR, Spec.Sign.UNSIGNED, 0)
                .slot("max_exp_avg_sq", Scope.TENSOR, Spec.Sign.UNSIGNED, 0)
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var beta1 = in.hyper("beta1");
        var expAvg = in.slot("exp_avg");
        var expAvgSq = in.slot("exp_avg_sq");
        var square = Inputs.sum(Scope.TENSOR, in.grad().as(Type.F64).squared());
        var unset = Inputs.equal(expAvgSq.old(), Expr.constant(0));
        var v = Expr.select(unset, square, Inputs.ema(expAvgSq.old(), square, in.hyper("beta2")));
        var writes = new ArrayList<>(List.of(expAvgSq.becomes(v)));
        var divisor = v;
        if (in.flag("amsgrad")) {
            var maxExpAvgSq = in.slot("max_exp_avg_sq");
            divisor = Inputs.max(maxExpAvgSq.old(), v);
            writes.add(maxExpAvgSq.becomes(divisor));
        }
        var g = in.grad().over(Inputs.sqrt(divisor).plus(in.hyper("eps")));
        if (in.on("weight_decay")) {
            g = g.plus(in.hyper("weight_decay").times(in.param()));
        }
        if (in.flag("grad_averaging")) {
            g = Inputs.one().minus(beta1).times(g);
        }
        var m = beta1.times(expAvg.old()).plus(g);
        writes.addFirst(in.delta(in.hyper("lr").negate().times(m)));
        writes.add(expAvg.becomes(m));
        return writes;
    }
}
