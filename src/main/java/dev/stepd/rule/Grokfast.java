package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/// A gradient filter that amplifies what changes slowly: the optimizer inside meets the gradient plus a multiple of its mean.
///
///     ema: e <- alpha*e + (1 - alpha)*g, starting at the first g        g <- g + lamb*e
///     ma:  h = the last window_size gradients, this one included        g <- g + lamb*mean(h), or sum(h)
///
/// With `warmup` the ma filter leaves gradients alone until its window is full. State: 4 bytes a parameter, with ma for each
/// place of the window. Lee, Kang, Kim, Lee, *Grokfast: accelerated grokking by amplifying slow gradients*, 2024,
/// arXiv:2405.20233, Algorithms 1 and 2; follows ironjr/grokfast.
final class Grokfast implements Wrapper {
    private static final int WINDOW_MAX = 128;

    @Override
    public Spec spec() {
        return Spec.of("grokfast", "Amplified slow gradients",
                        "Lee, Kang, Kim, Lee: Grokfast: accelerated grokking by amplifying slow gradients, 2024, arXiv:2405.20233")
                .follows("ironjr/grokfast@93b2248 grokfast.py")
                .choice("filter", "the mean: exponential, or over a window of gradients", "ema", "ma")
                .decay("alpha", 0.98, "how much of the exponential mean is kept each step")
                .real("lamb", 2, Hyperparameter.Range.NON_NEGATIVE, "how much of the mean joins the gradient")
                .count("window_size", 100, 1, WINDOW_MAX, "gradients in the window")
                .choice("filter_type", "what of the window joins the gradient", "mean", "sum")
                .flag("warmup", true, "leave gradients alone until the window is full")
                .slot("grad_ema", Spec.Sign.SIGNED)
                .build();
    }

    /// One slot for the mean, or one for each place of the window, the oldest first.
    @Override
    public List<Spec.SlotSpec> slots(Settings settings) {
        var mean = spec().slots().getFirst();
        return settings.choice("grokfast.filter").equals("ema") ? List.of(mean)
                : IntStream.range(0, settings.count("grokfast.window_size")).mapToObj(i -> mean.named(place(i))).toList();
    }

    private static String place(int i) {
        return "grad_window." + i;
    }

    @Override
    public Move step(Inputs in, Inner inner) {
        return in.chosen("filter", "ema") ? exponential(in, inner) : windowed(in, inner);
    }

    private static Move exponential(Inputs in, Inner inner) {
        var g = in.grad();
        var mean = in.slot("grad_ema");
        var e = Inputs.ema(Expr.select(in.first(), g, mean.old()), g, in.hyper("alpha"));
        return inner.meeting(g.plus(in.hyper("lamb").times(e))).step().and(mean.becomes(e));
    }

    /// Gradients move up one place each step: whoever sums the window reads all of it in any case.
    private static Move windowed(Inputs in, Inner inner) {
        var g = in.grad();
        int size = in.count("window_size");
        var shift = new ArrayList<Assignment>();
        var sum = Expr.constant(g.type(), 0);
        for (int i = 0; i < size; i++) {
            var place = i + 1 < size ? in.slot(place(i + 1)).old() : g;
            shift.add(in.slot(place(i)).becomes(place));
            sum = sum.plus(place);
        }
        var full = Expr.constant(size);
        var slow = in.chosen("filter_type", "mean") ? sum.over(Inputs.min(in.t(), full)) : sum;
        var amplified = g.plus(in.hyper("lamb").times(slow));
        var met = in.flag("warmup") ? Expr.select(Inputs.atLeast(in.t(), full), amplified, g) : amplified;
        return inner.meeting(met).step().and(shift.toArray(Assignment[]::new));
    }
}
