package dev.stepd.rule;

import dev.stepd.expr.Expr;
import java.util.Optional;

/// An exponential moving average of the parameters without its lag: the way from where it began is added back. The weight of
/// the newest parameters falls with the step.
///
///     x = p + delta        t = update_after: theta0 <- x, e <- x
///     every update_freq-th step later: u = lag + multiplier*t, b = max(u^-ema_power, min_ema_multiplier)
///     e <- (1 - b)*e + b*x        a <- e + u^-bias_power * (x - theta0)
///
/// All three are the initial parameters until then, so with `update_after` 0 that is where it begins. State: 12 bytes a parameter. Block, Zhang, *EMA without the lag:
/// bias-corrected iterate averaging schemes*, 2025, arXiv:2508.00180, Algorithm 1; follows huggingface/trl's callback.
final class BiasCorrectedAverage implements Wrapper {
    @Override
    public Spec spec() {
        return Spec.of("bema", "Bias-corrected exponential moving average of parameters",
                        "Block, Zhang: EMA without the lag: bias-corrected iterate averaging schemes, 2025, arXiv:2508.00180")
                .follows("huggingface/trl@f2cd577 trl/trainer/callbacks.py BEMACallback")
                .real("update_freq", 400, new Hyperparameter.Range(1, Double.MAX_VALUE, true), "steps between two that are averaged")
                .real("ema_power", 0.5, Hyperparameter.Range.NON_NEGATIVE, "power the newest parameters' weight falls with")
                .real("bias_power", 0.2, Hyperparameter.Range.NON_NEGATIVE, "power the correction falls with")
                .real("lag", 10, Hyperparameter.Range.NON_NEGATIVE, "steps that both powers are ahead")
                .real("update_after", 0, Hyperparameter.Range.NON_NEGATIVE, "the step it begins at")
                .real("multiplier", 1, Hyperparameter.Range.POSITIVE, "how fast both powers' steps go by")
                .real("min_ema_multiplier", 0, Hyperparameter.Range.UNIT, "least weight of the newest parameters")
                .slotOfParameter("theta0")
                .slotOfParameter("ema")
                .slotOfParameter("bema")
                .build();
    }

    @Override
    public Move step(Inputs in, Inner inner) {
        var move = inner.step();
        var start = in.slot("theta0");
        var ema = in.slot("ema");
        var bema = in.slot("bema");
        var x = in.after(move);
        var past = in.t().minus(in.hyper("update_after"));
        var begins = Inputs.equal(past, Expr.constant(0));
        var whole = Inputs.equal(Inputs.remainder(past, in.hyper("update_freq")), Expr.constant(0));
        var joins = Inputs.and(Inputs.positive(past), whole);
        var steps = in.hyper("lag").plus(in.hyper("multiplier").times(in.t()));
        var share = Inputs.max(Inputs.hostPower(steps, in.hyper("ema_power").negate()), in.hyper("min_ema_multiplier"));
        var correction = Inputs.hostPower(steps, in.hyper("bias_power").negate());
        var mean = Inputs.ema(x, ema.old(), share);
        var corrected = mean.plus(correction.times(x.minus(start.old())));
        return move.and(
                start.becomes(Expr.select(begins, x, start.old())),
                ema.becomes(Expr.select(begins, x, Expr.select(joins, mean, ema.old()))),
                bema.becomes(Expr.select(joins, corrected, bema.old())));
    }

    @Override
    public Optional<Expr> average(Inputs in) {
        return Optional.of(in.slot("bema").old());
    }
}
