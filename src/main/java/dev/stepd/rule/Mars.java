package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Scope;
import dev.stepd.tensor.TensorSpec;
import java.util.ArrayList;
import java.util.List;

/// Adam or Lion on gradients whose variance is reduced by what changed since the last step.
///
///     matrix: c = g + gamma*b1/(1 - b1)*(g - g_last), c <- c/|c| where |c| > 1        g_last <- g
///     m <- b1*m + (1 - b1)*c, v <- b2*v + (1 - b2)*c^2
///     mars-adamw: delta = -lr*wd*p - lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)
///     mars-lion: delta = -lr*wd*p - lr*sign(m)
///     others: AdamW with beta1_1d, beta2_1d, weight_decay_1d and the rate lr_1d * lr / lr before schedules
///
/// A matrix is a tensor of two dimensions exactly, or with `optimize_1d` any. The norm is a tensor's. State: 12 bytes a parameter
/// of matrices (8 with mars-lion), 8 of others. Yuan et al., *MARS: unleashing the power of variance reduction for training
/// large models*, 2024, arXiv:2411.10438, Algorithm 2 and 3 in the approximate form; follows AGI-Arena/MARS.
final class Mars implements Rule {
    private static final String OTHER = "tensor of other than two dimensions";

    @Override
    public Spec spec() {
        return Spec.of("mars", "Adam or Lion with variance reduction",
                        "Yuan, Liu, Wu, Zhou, Gu: MARS: unleashing the power of variance reduction for training large models, 2024, arXiv:2411.10438")
                .follows("AGI-Arena/MARS@4831e28 MARS/optimizers/mars.py")
                .lr(3e-3)
                .betas(0.95, 0.99)
                .eps(1e-8)
                .weightDecay(0)
                .flag("amsgrad", false, "divide by the largest second moment so far")
                .real("gamma", 0.025, Hyperparameter.Range.NON_NEGATIVE, "how much the change of the gradient counts")
                .choice("mars_type", "what is made of the corrected gradient", "mars-adamw", "mars-lion")
                .flag("optimize_1d", false, "treat every tensor as a matrix")
                .real("lr_1d", 3e-3, Hyperparameter.Range.NON_NEGATIVE, "learning rate of other tensors while lr is as it is set")
                .decay("beta1_1d", 0.9, "beta1 of other tensors")
                .decay("beta2_1d", 0.95, "beta2 of other tensors")
                .option("weight_decay_1d", 0.1, Hyperparameter.Range.NON_NEGATIVE, "weight decay of other tensors")
                .moments()
                .slot("last_grad", Spec.Sign.SIGNED)
                .ageless()
                .slot("max_exp_avg_sq", Spec.Sign.UNSIGNED)
                .ageless()
                .build();
    }

    @Override
    public List<View> views(List<TensorSpec> tensors, Settings settings) {
        boolean all = settings.flag("optimize_1d");
        return tensors.stream()
                .map(tensor -> View.of(tensor.shape())
                        .as(all || tensor.shape().extents().size() == 2 ? View.MATRIX : OTHER))
                .toList();
    }

    @Override
    public List<String> kinds() {
        return List.of(View.MATRIX, OTHER);
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var writes = new ArrayList<Assignment>();
        if (in.is(OTHER)) {
            var rate = in.hyper("lr_1d").times(in.scheduled("lr"));
            var step = adam(in, in.grad(), in.hyper("beta1_1d"), in.hyper("beta2_1d"), rate, writes);
            writes.addFirst(in.delta(in.on("weight_decay_1d")
                    ? step.minus(rate.times(in.hyper("weight_decay_1d")).times(in.param()))
                    : step));
            return writes;
        }
        var c = corrected(in, writes);
        var lr = in.hyper("lr");
        var beta1 = in.hyper("beta1");
        if (in.chosen("mars_type", "mars-adamw")) {
            writes.addFirst(in.delta(in.decoupledDecay(adam(in, c, beta1, in.hyper("beta2"), lr, writes))));
            return writes;
        }
        var expAvg = in.slot("exp_avg");
        var m = Inputs.ema(expAvg.old(), c, beta1);
        writes.add(expAvg.becomes(m));
        writes.addFirst(in.delta(in.decoupledDecay(lr.negate().times(Inputs.sign(m)))));
        return writes;
    }

    private static Expr corrected(Inputs in, List<Assignment> writes) {
        var g = in.grad();
        var beta1 = in.hyper("beta1");
        var last = in.slot("last_grad");
        writes.add(last.becomes(g));
        var share = in.hyper("gamma").times(beta1.over(Inputs.one().minus(beta1)));
        var c = g.plus(share.times(g.minus(last.old())));
        var norm = Inputs.norm(Scope.TENSOR, c);
        return Expr.select(Inputs.greater(norm, Inputs.one()), c.over(norm), c);
    }

    private static Expr adam(Inputs in, Expr g, Expr beta1, Expr beta2, Expr rate, List<Assignment> writes) {
        var expAvg = in.slot("exp_avg");
        var expAvgSq = in.slot("exp_avg_sq");
        var m = Inputs.ema(expAvg.old(), g, beta1);
        var v = Inputs.ema(expAvgSq.old(), g.squared(), beta2);
        writes.add(expAvg.becomes(m));
        writes.add(expAvgSq.becomes(v));
        var divisor = v;
        if (in.flag("amsgrad")) {
            var maxExpAvgSq = in.slot("max_exp_avg_sq");
            divisor = Inputs.max(maxExpAvgSq.old(), v);
            writes.add(maxExpAvgSq.becomes(divisor));
        }
        var root = Inputs.sqrt(divisor).over(Inputs.sqrt(in.biasCorrection(beta2))).plus(in.hyper("eps"));
        return rate.over(in.biasCorrection(beta1)).negate().times(m.over(root));
    }
}
