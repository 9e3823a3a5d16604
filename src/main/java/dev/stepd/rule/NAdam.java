package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Scope;
import java.util.List;

/// Adam with Nesterov momentum on a schedule of its own.
///
///     mu = b1*(1 - 0.96^(t*psi) / 2), mu' likewise for t + 1        P <- P*mu        m, v as Adam
///     r = sqrt(v / (1 - b2^t)) + eps        delta = -lr*(1 - mu)/(1 - P) * g/r - lr*mu'/(1 - P*mu') * m/r
///
/// `P` keeps mu, not mu'. Weight decay is coupled, or decoupled as in AdamW. State: 8 bytes a parameter and `mu_product`, one
/// number a tensor. Dozat, *Incorporating Nesterov momentum into Adam*, ICLR workshop 2016; follows torch.optim.NAdam.
final class NAdam implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("nadam", "Adam with Nesterov momentum",
                        "Dozat: Incorporating Nesterov momentum into Adam, ICLR workshop 2016")
                .follows("torch 2.13.0 torch.optim.NAdam")
                .lr(2e-3)
                .betas(0.9, 0.999)
                .eps(1e-8)
                .weightDecay(0)
                .real("momentum_decay", 4e-3, Hyperparameter.Range.NON_NEGATIVE, "how fast the momentum reaches beta1")
                .flag("decoupled", false, "decay the parameter as AdamW does, not the gradient")
                .maximize()
                .moments()
                .slot("mu_product", Scope.TENSOR, Spec.Sign.UNSIGNED, 1)
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        boolean decoupled = in.flag("decoupled");
        var g = decoupled ? in.grad() : in.decayedGrad();
        var lr = in.hyper("lr");
        var beta2 = in.hyper("beta2");
        var expAvg = in.slot("exp_avg");
        var expAvgSq = in.slot("exp_avg_sq");
        var muProduct = in.slot("mu_product");
        var mu = momentum(in, in.t());
        var next = momentum(in, in.t().plus(1));
        var product = muProduct.old().times(mu);
        var m = Inputs.ema(expAvg.old(), g, in.hyper("beta1"));
        var v = Inputs.ema(expAvgSq.old(), g.squared(), beta2);
        var root = Inputs.sqrt(v.over(in.biasCorrection(beta2))).plus(in.hyper("eps"));
        var one = Inputs.one();
        var ofGrad = lr.times(one.minus(mu)).over(one.minus(product));
        var ofMean = lr.times(next).over(one.minus(product.times(next)));
        var step = ofGrad.times(g).plus(ofMean.times(m)).over(root).negate();
        return List.of(
                in.delta(decoupled ? in.decoupledDecay(step) : step),
                expAvg.becomes(m),
                expAvgSq.becomes(v),
                muProduct.becomes(product));
    }

    private static Expr momentum(Inputs in, Expr t) {
        var decay = Inputs.pow(Expr.constant(0.96), t.times(in.hyper("momentum_decay")));
        return in.hyper("beta1").times(Inputs.one().minus(decay.times(0.5)));
    }
}
