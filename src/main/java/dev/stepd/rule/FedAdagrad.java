package dev.stepd.rule;

import dev.stepd.expr.Program.Assignment;
import java.util.List;

/// The server's step of federated averaging with Adagrad. The gradient is minus the clients' mean change; the first moment
/// is kept of the change itself, so it has the other sign.
///
///     m <- b1*m - (1 - b1)*g        v <- v + g^2        delta = lr*m / (sqrt(v) + tau)
///
/// State: 8 bytes a parameter. Reddi et al., *Adaptive federated optimization*, 2020, arXiv:2003.00295, Algorithm 2, which
/// starts v at tau^2; follows Flower, which starts it at 0.
final class FedAdagrad implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("fedadagrad", "Adagrad on a federated server",
                        "Reddi, Charles, Zaheer, Garrett, Rush, Konečný, Kumar, McMahan: Adaptive federated optimization, 2020, arXiv:2003.00295")
                .follows("adap/flower@fdef7af framework/py/flwr/server/strategy/fedadagrad.py (momentum from fedopt.py)")
                .lr(0.1)
                .decay("beta1", 0, "how much of the mean change is kept each step")
                .real("tau", 1e-9, Hyperparameter.Range.NON_NEGATIVE, "added to the root: the larger, the less adaptive")
                .moments()
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var g = in.grad();
        var expAvg = in.slot("exp_avg");
        var expAvgSq = in.slot("exp_avg_sq");
        var m = Inputs.ema(expAvg.old(), g.negate(), in.hyper("beta1"));
        var v = expAvgSq.old().plus(g.squared());
        return List.of(
                in.delta(in.hyper("lr").times(m.over(Inputs.sqrt(v).plus(in.hyper("tau"))))),
                expAvg.becomes(m),
                expAvgSq.becomes(v));
    }
}
