package dev.stepd.rule;

import dev.stepd.expr.Expr;

/// Slow weights that follow the fast ones every `k` steps, after which those start again from there.
///
///     f = p + delta        every k-th step of a tensor: s <- alpha*f + (1 - alpha)*s, delta = s - p
///
/// With `pullback: reset` the momentum buffer inside is 0 after that; the moments of an Adam inside stay in any case.
/// The slow weights start at the initial parameters. State: 4 bytes a parameter. Zhang, Lucas, Hinton, Ba, *Lookahead
/// optimizer: k steps forward, 1 step back*, 2019, arXiv:1907.08610, Algorithm 1; follows michaelrzhang/lookahead.
final class Lookahead implements Wrapper {
    private static final String BUFFER = "momentum_buffer";
    private static final String NO_BUFFER = "none where there is no " + BUFFER + ": ";

    @Override
    public Spec spec() {
        return Spec.of("lookahead", "Slow weights that look ahead",
                        "Zhang, Lucas, Hinton, Ba: Lookahead optimizer: k steps forward, 1 step back, 2019, arXiv:1907.08610")
                .follows("michaelrzhang/lookahead@c4fd85f lookahead_pytorch.py")
                .real("k", 5, new Hyperparameter.Range(1, Double.MAX_VALUE, true), "steps between two of the slow weights")
                .real("alpha", 0.8, Hyperparameter.Range.UNIT, "how much of the way to the fast weights the slow ones go")
                .choice("pullback", "what becomes of the momentum buffer when slow weights step", "none", "reset")
                .slotOfParameter("slow")
                .build();
    }

    @Override
    public void check(Settings settings, Part part) {
        boolean buffered = settings.slotNames(settings.optimizer()).contains(BUFFER);
        if (settings.choice("lookahead.pullback").equals("reset") && !buffered) {
            throw part.invalid("pullback", "reset", NO_BUFFER + settings.rule().spec().name() + " has none");
        }
    }

    @Override
    public Move step(Inputs in, Inner inner) {
        var move = inner.step();
        var slow = in.slot("slow");
        var steps = Inputs.equal(Inputs.remainder(in.t(), in.hyper("k")), Expr.constant(0));
        var reached = Inputs.ema(in.after(move), slow.old(), in.hyper("alpha"));
        var back = move.to(Expr.select(steps, reached.minus(in.param()), move.delta().value()));
        var moved = back.and(slow.becomes(Expr.select(steps, in.after(back), slow.old())));
        if (!in.chosen("pullback", "reset")) {
            return moved;
        }
        return moved.changing(BUFFER, buffer -> Expr.select(steps, Expr.constant(0), buffer))
                .orElseThrow(() -> in.invalid("pullback", "reset", NO_BUFFER + "as the optimizer is set it keeps none"));
    }
}
