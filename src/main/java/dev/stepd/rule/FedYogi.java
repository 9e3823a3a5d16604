package dev.stepd.rule;

import dev.stepd.expr.Program.Assignment;
import java.util.List;

/// The server's step of federated averaging with Yogi, whose second moment moves by no more than the newest square. The
/// gradient is minus the clients' mean change; the first moment is kept of the change itself.
///
///     m <- b1*m - (1 - b1)*g        v <- v - (1 - b2)*g^2*sign(v - g^2)        delta = lr*m / (sqrt(v) + tau)
///
/// State: 8 bytes a parameter. Reddi et al., *Adaptive federated optimization*, 2020, arXiv:2003.00295, Algorithm 2, which
/// starts v at tau^2; follows Flower, which starts it at 0.
final class FedYogi implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("fedyogi", "Yogi on a federated server",
                        "Reddi, Charles, Zaheer, Garrett, Rush, Konečný, Kumar, McMahan: Adaptive federated optimization, 2020, arXiv:2003.00295")
                .follows("adap/flower@fdef7af framework/py/flwr/server/strategy/fedyogi.py")
                .lr(0.01)
                .decay("beta1", 0.9, "how much of the mean change is kept each step")
                .decay("beta2", 0.99, "how much less than all of a square moves the second moment")
                .real("tau", 1e-3, Hyperparameter.Range.NON_NEGATIVE, "added to the root: the larger, the less adaptive")
                .moments()
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var g = in.grad();
        var expAvg = in.slot("exp_avg");
        var expAvgSq = in.slot("exp_avg_sq");
        var m = Inputs.ema(expAvg.old(), g.negate(), in.hyper("beta1"));
        var square = g.squared();
        var share = Inputs.one().minus(in.hyper("beta2"));
        var v = expAvgSq.old().minus(share.times(square).times(Inputs.sign(expAvgSq.old().minus(square))));
        return List.of(
                in.delta(in.hyper("lr").times(m.over(Inputs.sqrt(v).plus(in.hyper("tau"))))),
                expAvg.becomes(m),
                expAvgSq.becomes(v));
    }
}
