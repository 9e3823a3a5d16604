package dev.stepd.rule;

import dev.stepd.expr.Expr;
import java.util.Optional;

/// The mean of the parameters after every `update_freq`-th step past `update_after`; until the first of them it is the
/// parameters themselves.
///
///     x = p + delta        n = (t - update_after) / update_freq, where that is whole: a <- a + (x - a)/n
///
/// State: 4 bytes a parameter. Izmailov, Podoprikhin, Garipov, Vetrov, Wilson, *Averaging weights leads to wider optima
/// and better generalization*, 2018, arXiv:1803.05407, Algorithm 1; follows torch.optim.swa_utils.
final class StochasticWeightAverage implements Wrapper {
    @Override
    public Spec spec() {
        return Spec.of("swa", "Stochastic weight averaging",
                        "Izmailov, Podoprikhin, Garipov, Vetrov, Wilson: Averaging weights leads to wider optima and better generalization, 2018, arXiv:1803.05407")
                .follows("torch 2.13.0 torch.optim.swa_utils.AveragedModel")
                .real("update_after", 0, Hyperparameter.Range.NON_NEGATIVE, "steps before averaging begins")
                .real("update_freq", 1, new Hyperparameter.Range(1, Double.MAX_VALUE, true), "steps between two that are averaged")
                .slotOfParameter("average")
                .build();
    }

    @Override
    public Move step(Inputs in, Inner inner) {
        var move = inner.step();
        var average = in.slot("average");
        var x = in.after(move);
        var past = in.t().minus(in.hyper("update_after"));
        var count = past.over(in.hyper("update_freq"));
        var begins = Inputs.atLeast(Inputs.one(), count);
        var joins = Inputs.equal(Inputs.remainder(past, in.hyper("update_freq")), Expr.constant(0));
        var mean = average.old().plus(x.minus(average.old()).over(count));
        return move.and(average.becomes(Expr.select(begins, x, Expr.select(joins, mean, average.old()))));
    }

    @Override
    public Optional<Expr> average(Inputs in) {
        return Optional.of(in.slot("average").old());
    }
}
