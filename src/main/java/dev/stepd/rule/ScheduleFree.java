package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Scope;
import java.util.Optional;

/// Takes the place of a schedule: the optimizer inside moves `z`, gradients are taken at `y`, which is the parameter, between
/// `z` and the mean `x` of all z, which is what to evaluate with.
///
///     a = the rate inside, times min(1, t/warmup_steps)        d = the delta inside, at y
///     A <- max(A, a)        w = t^r * A^weight_lr_power        W <- W + w        c = w/W, 0 while W is 0
///     z <- z + d        x <- (1 - c)*x + c*z        y <- momentum*x + (1 - momentum)*z
///     so delta = c*(z - y) + (1 - momentum*(1 - c))*d
///
/// `x` is not kept, it is y + (1/momentum - 1)*(y - z): a momentum changed in the middle of a run moves it. The optimizer
/// inside should have no momentum of its own. State: 4 bytes a parameter and two numbers a tensor. Defazio, Yang, Mehta,
/// Mishchenko, Khaled, Cutkosky, *The road less scheduled*, 2024, arXiv:2405.15682, Algorithm 1; follows
/// facebookresearch/schedule_free.
final class ScheduleFree implements Wrapper {
    @Override
    public Spec spec() {
        return Spec.of("schedule_free", "An average in place of a schedule",
                        "Defazio, Yang, Mehta, Mishchenko, Khaled, Cutkosky: The road less scheduled, 2024, arXiv:2405.15682")
                .follows("facebookresearch/schedule_free@70785b5 schedulefree/sgd_schedulefree_reference.py")
                .real("momentum", 0.9, Hyperparameter.Range.INSIDE, "how near gradients are taken to the average")
                .real("warmup_steps", 0, Hyperparameter.Range.NON_NEGATIVE, "steps over which the rate rises from 0")
                .real("r", 0, Hyperparameter.Range.NON_NEGATIVE, "power of the step in the average's weights")
                .real("weight_lr_power", 2, Hyperparameter.Range.NON_NEGATIVE, "power of the rate in the average's weights")
                .slotOfParameter("z")
                .slot("weight_sum", Scope.TENSOR, Spec.Sign.UNSIGNED, 0)
                .slot("lr_max", Scope.TENSOR, Spec.Sign.UNSIGNED, 0)
                .build();
    }

    @Override
    public void check(Settings settings, Part part) {
        if (settings.rule().spec().hyperparameter(Inputs.RATE).isEmpty()) {
            throw part.invalid("name", "schedule_free", "none around " + settings.rule().spec().name() + ", which has no lr");
        }
    }

    @Override
    public Move step(Inputs in, Inner inner) {
        var warmed = in.on("warmup_steps") ? inner.atRate(rate -> rate.times(warmth(in, rate.scope()))) : inner;
        var move = warmed.step();
        var d = move.delta().value();
        var z = in.slot("z");
        var sum = in.slot("weight_sum");
        var most = in.slot("lr_max");
        var largest = Inputs.max(most.old(), warmed.rate());
        var weight = Inputs.hostPower(in.t(), in.hyper("r")).times(Inputs.pow(largest, in.hyper("weight_lr_power")));
        var weights = sum.old().plus(weight);
        var c = Expr.select(Inputs.positive(weights), weight.over(weights), Expr.constant(0));
        var share = Inputs.one().minus(in.hyper("momentum").times(Inputs.one().minus(c)));
        return move.to(c.times(z.old().minus(in.param())).plus(share.times(d)))
                .and(z.becomes(z.old().plus(d)), sum.becomes(weights), most.becomes(largest));
    }

    /// What a rate is multiplied with; where all tensors share the rate, the session's step counts.
    private static Expr warmth(Inputs in, Scope scope) {
        var t = scope.equals(Scope.SESSION) ? in.sessionT() : in.t();
        return Inputs.min(Inputs.one(), t.over(in.hyper("warmup_steps")));
    }

    @Override
    public Optional<Expr> average(Inputs in) {
        var away = in.param().minus(in.slot("z").old());
        return Optional.of(in.param().plus(Inputs.one().over(in.hyper("momentum")).minus(1).times(away)));
    }
}
