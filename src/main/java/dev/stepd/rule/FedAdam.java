package dev.stepd.rule;

import dev.stepd.expr.Program.Assignment;
import java.util.List;

/// The server's step of federated averaging with Adam. The gradient is minus the clients' mean change; the first moment is
/// kept of the change itself, so it has the other sign.
///
///     m <- b1*m - (1 - b1)*g        v <- b2*v + (1 - b2)*g^2
///     delta = lr * sqrt(1 - b2^(t+1)) / (1 - b1^(t+1)) * m / (sqrt(v) + tau)
///
/// State: 8 bytes a parameter. Reddi et al., *Adaptive federated optimization*, 2020, arXiv:2003.00295, Algorithm 2, which
/// corrects no bias and starts v at tau^2; follows Flower, with its exponent one ahead of the step.
final class FedAdam implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("fedadam", "Adam on a federated server",
                        "Reddi, Charles, Zaheer, Garrett, Rush, Konečný, Kumar, McMahan: Adaptive federated optimization, 2020, arXiv:2003.00295")
                .follows("adap/flower@fdef7af framework/py/flwr/server/strategy/fedadam.py")
                .lr(0.1)
                .decay("beta1", 0.9, "how much of the mean change is kept each step")
                .decay("beta2", 0.99, "how much of the mean squared change is kept each step")
                .real("tau", 1e-9, Hyperparameter.Range.NON_NEGATIVE, "added to the root: the larger, the less adaptive")
                .moments()
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var g = in.grad();
        var beta1 = in.hyper("beta1");
        var beta2 = in.hyper("beta2");
        var expAvg = in.slot("exp_avg");
        var expAvgSq = in.slot("exp_avg_sq");
        var m = Inputs.ema(expAvg.old(), g.negate(), beta1);
        var v = Inputs.ema(expAvgSq.old(), g.squared(), beta2);
        var ahead = in.t().plus(1);
        var rate = in.hyper("lr")
                .times(Inputs.sqrt(Inputs.biasCorrection(beta2, ahead)))
                .over(Inputs.biasCorrection(beta1, ahead));
        return List.of(
                in.delta(rate.times(m.over(Inputs.sqrt(v).plus(in.hyper("tau"))))),
                expAvg.becomes(m),
                expAvgSq.becomes(v));
    }
}
