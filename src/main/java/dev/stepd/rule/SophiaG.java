package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Scope;
import java.util.List;

/// Sophia with the Gauss-Newton-Bartlett estimator: momentum divided by a running mean of the Hessian's diagonal, no
/// element further than `lr`. Where the Hessian is 0, as before the first estimate, the step is the sign of the momentum.
///
///     m <- b1*m + (1 - b1)*g
///     delta = -lr*wd*p - lr*sign(m)*min(1, |m| / (rho*bs*h + 1e-15))
///     h <- b2*h + (1 - b2)*q^2     in steps with a `hess_grad` q, after the update
///
/// The estimate a step brings counts from the next step on. When one is due is the client's decision; `hessian_interval`
/// tells others what it is and changes nothing here.
///
/// State: 8 bytes a parameter. Liu, Li, Hall, Liang, Ma, *Sophia: a scalable stochastic second-order optimizer for
/// language model pre-training*, 2023, arXiv:2305.14342, Algorithms 2 and 3; follows the authors' SophiaG, with the batch
/// size `bs` multiplied in at use.
final class SophiaG implements Rule {
    private static final Hyperparameter.Range FROM_ONE = new Hyperparameter.Range(1, Double.MAX_VALUE, true);

    @Override
    public Spec spec() {
        return Spec.of("sophia_g", "Sophia with the Gauss-Newton-Bartlett estimator",
                        "Liu, Li, Hall, Liang, Ma: Sophia: a scalable stochastic second-order optimizer for language model"
                                + " pre-training, 2023, arXiv:2305.14342")
                .follows("Liuhong99/Sophia@a7e1572 sophia.py SophiaG")
                .lr(1e-4)
                .betas(0.965, 0.99)
                .real("rho", 0.04, Hyperparameter.Range.NON_NEGATIVE, "what the Hessian is multiplied by: smaller clips more")
                .weightDecay(0.1)
                .real("bs", 5120, Hyperparameter.Range.POSITIVE, "batch size in tokens, which the estimate is a mean over")
                .real("hessian_interval", 10, FROM_ONE,
                        "steps from one estimate to the next; for the record: the client decides by sending hess_grad")
                .maximize()
                .slot("exp_avg", Spec.Sign.SIGNED)
                .slot("hessian", Spec.Sign.UNSIGNED)
                .input("hess_grad", Scope.ELEMENT, Spec.Presence.SOME_STEPS,
                        "gradient of the loss with labels sampled from the model; in steps with a new estimate of the"
                                + " Hessian, which counts from the step after")
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var expAvg = in.slot("exp_avg");
        var hessian = in.slot("hessian");
        var m = Inputs.ema(expAvg.old(), in.grad(), in.hyper("beta1"));
        var curvature = in.hyper("rho").times(in.hyper("bs")).times(hessian.old()).plus(1e-15);
        var share = Inputs.min(Inputs.abs(m).over(curvature), Inputs.one());
        var delta = in.decoupledDecay(in.hyper("lr").negate().times(Inputs.sign(m)).times(share));
        var estimated = Inputs.ema(hessian.old(), in.input("hess_grad").squared(), in.hyper("beta2"));
        return List.of(
                in.delta(delta),
                expAvg.becomes(m),
                hessian.becomes(Expr.select(in.given("hess_grad"), estimated, hessian.old())));
    }
}
