package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/// Aggregated momentum: the mean of steps with several momenta, where the large ones are fast and the small ones keep them from
/// oscillating.
///
///     g <- g + wd*p        b_i <- betas_i*b_i + g        delta = -lr/K * sum(b_i), with K betas
///
/// State: 4 bytes a parameter for each beta. Lucas, Sun, Zemel, Grosse, *Aggregated momentum: stability through passive
/// damping*, 2018, arXiv:1804.00325, Equation 4; follows AtheMathmo/AggMo.
final class AggMo implements Rule {
    private static final List<Double> BETAS = List.of(0.0, 0.9, 0.99);
    private static final int BETAS_MAX = 8;

    @Override
    public Spec spec() {
        var spec = Spec.of("aggmo", "Aggregated momentum",
                        "Lucas, Sun, Zemel, Grosse: Aggregated momentum: stability through passive damping, 2018, arXiv:1804.00325")
                .follows("AtheMathmo/AggMo@f91730d src/aggmo.py")
                .lr(0.1)
                .numbers("betas", BETAS, Hyperparameter.Range.DECAY, BETAS_MAX, "how much of each buffer is kept each step")
                .weightDecay(0);
        for (int i = 0; i < BETAS.size(); i++) {
            spec.slot(buffer(i), Spec.Sign.SIGNED);
        }
        return spec.build();
    }

    private static String buffer(int i) {
        return "momentum_buffer." + i;
    }

    @Override
    public List<Spec.SlotSpec> slots(Settings settings, String kind) {
        var first = spec().slots().getFirst();
        return IntStream.range(0, settings.elements("betas").size()).mapToObj(i -> first.named(buffer(i))).toList();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var g = in.decayedGrad();
        var betas = in.hypers("betas");
        var writes = new ArrayList<Assignment>();
        var buffers = new ArrayList<Expr>();
        for (int i = 0; i < betas.size(); i++) {
            var buffer = in.slot(buffer(i));
            var b = betas.get(i).times(buffer.old()).plus(g);
            buffers.add(b);
            writes.add(buffer.becomes(b));
        }
        var sum = buffers.stream().reduce((a, b) -> a.plus(b)).orElseThrow();
        writes.addFirst(in.delta(in.hyper("lr").over(betas.size()).negate().times(sum)));
        return writes;
    }
}
