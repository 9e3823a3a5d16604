package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Scope;
import java.util.List;

/// Sophia with Hutchinson's estimator: momentum divided by a running mean of the Hessian's diagonal, each element of the
/// quotient kept within `clip`.
///
///     h <- b2*h + (1 - b2)*H     in steps with a `hessian_diag` H, before the update
///     m <- b1*m + (1 - b1)*g
///     u = min(max(m / max(h, eps), -clip), clip)
///     delta = -lr*wd*p - lr*u     (decoupled; else g is g + wd*p)
///
/// A negative mean counts as `eps`, so its element takes a whole clipped step. When an estimate is due is the client's
/// decision; `update_period` tells others what it is and changes nothing here.
///
/// State: 8 bytes a parameter. Liu, Li, Hall, Liang, Ma, *Sophia: a scalable stochastic second-order optimizer for
/// language model pre-training*, 2023, arXiv:2305.14342, Algorithms 1 and 3. The authors published no code of this form;
/// follows kozistr/pytorch_optimizer, where `clip` bounds the quotient itself.
final class SophiaH implements Rule {
    private static final Hyperparameter.Range FROM_ONE = new Hyperparameter.Range(1, Double.MAX_VALUE, true);

    @Override
    public Spec spec() {
        return Spec.of("sophia_h", "Sophia with Hutchinson's estimator",
                        "Liu, Li, Hall, Liang, Ma: Sophia: a scalable stochastic second-order optimizer for language model"
                                + " pre-training, 2023, arXiv:2305.14342")
                .follows("kozistr/pytorch_optimizer@7a076d2 pytorch_optimizer/optimizer/sophia.py SophiaH")
                .lr(0.06)
                .betas(0.96, 0.99)
                .real("eps", 1e-12, Hyperparameter.Range.POSITIVE, "the least the Hessian's mean counts as")
                .weightDecay(0)
                .flag("decoupled", true, "whether weight decay shrinks parameters instead of entering the gradient")
                .real("clip", 0.01, Hyperparameter.Range.POSITIVE, "the most an element moves, in units of lr")
                .real("update_period", 10, FROM_ONE,
                        "steps from one estimate to the next; for the record: the client decides by sending hessian_diag")
                .slot("exp_avg", Spec.Sign.SIGNED)
                .slot("hessian_moment", Spec.Sign.SIGNED)
                .input("hessian_diag", Scope.ELEMENT, Spec.Presence.SOME_STEPS,
                        "Hutchinson's estimate z * (Hessian z) of the Hessian's diagonal; in steps with a new one, which counts at"
                                + " once")
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        boolean decoupled = in.flag("decoupled");
        var expAvg = in.slot("exp_avg");
        var moment = in.slot("hessian_moment");
        var m = Inputs.ema(expAvg.old(), decoupled ? in.grad() : in.decayedGrad(), in.hyper("beta1"));
        var estimated = Inputs.ema(moment.old(), in.input("hessian_diag"), in.hyper("beta2"));
        var h = Expr.select(in.given("hessian_diag"), estimated, moment.old());
        var clip = in.hyper("clip");
        var quotient = m.over(Inputs.max(h, in.hyper("eps")));
        var step = in.hyper("lr").negate().times(Inputs.min(Inputs.max(quotient, clip.negate()), clip));
        return List.of(in.delta(decoupled ? in.decoupledDecay(step) : step), expAvg.becomes(m), moment.becomes(h));
    }
}
