package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import java.util.ArrayList;
import java.util.List;

/// The gradient over the root of its running mean square, optionally centered, optionally with momentum. No bias correction;
/// `eps` stands outside the root.
///
///     g <- g + wd*p        s <- alpha*s + (1 - alpha)*g^2        r = sqrt(s) + eps
///     centered: a <- alpha*a + (1 - alpha)*g,  r = sqrt(max(s - a^2, 0)) + eps
///     delta = -lr*g/r, with momentum b <- mu*b + g/r,  delta = -lr*b
///
/// State: 4 bytes a parameter, 4 more when centered, 4 more with momentum. Tieleman, Hinton, *Lecture 6.5*, 2012; centered
/// form Graves, 2013, arXiv:1308.0850; follows torch.optim.RMSprop. The clamp keeps a rounded `s - a^2` from going negative.
final class RmsProp implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("rmsprop", "Gradient over its root mean square",
                        "Tieleman, Hinton: Lecture 6.5, Neural networks for machine learning, 2012; Graves, 2013, arXiv:1308.0850")
                .follows("torch 2.13.0 torch.optim.RMSprop")
                .lr(0.01)
                .decay("alpha", 0.99, "how much of the mean square is kept each step")
                .eps(1e-8)
                .weightDecay(0)
                .option("momentum", 0, Hyperparameter.Range.NON_NEGATIVE, "how much of the buffer is kept each step")
                .flag("centered", false, "divide by the deviation instead of the root mean square")
                .maximize()
                .slot("square_avg", Spec.Sign.UNSIGNED)
                .slot("grad_avg", Spec.Sign.SIGNED)
                .slot("momentum_buffer", Spec.Sign.SIGNED)
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var g = in.decayedGrad();
        var alpha = in.hyper("alpha");
        var squareAvg = in.slot("square_avg");
        var s = Inputs.ema(squareAvg.old(), g.squared(), alpha);
        var writes = new ArrayList<Assignment>();
        writes.add(squareAvg.becomes(s));
        var variance = s;
        if (in.flag("centered")) {
            var gradAvg = in.slot("grad_avg");
            var a = Inputs.ema(gradAvg.old(), g, alpha);
            writes.add(gradAvg.becomes(a));
            variance = Inputs.max(s.minus(a.squared()), Expr.constant(0));
        }
        var d = g.over(Inputs.sqrt(variance).plus(in.hyper("eps")));
        if (in.on("momentum")) {
            var buffer = in.slot("momentum_buffer");
            d = in.hyper("momentum").times(buffer.old()).plus(d);
            writes.add(buffer.becomes(d));
        }
        writes.addFirst(in.delta(in.hyper("lr").negate().times(d)));
        return writes;
    }
}
