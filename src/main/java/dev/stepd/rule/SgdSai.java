package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Scope;
import java.util.List;

/// Momentum with a rate for each tensor that its first gradient fixes for good: the norm over the deviation.
///
///     first step: r = |g| / (deviation(g) + eps),  m <- g        later: m <- mu*m + (1 - mu)*g
///     delta = -lr*wd*p - lr*r*m
///
/// The deviation is the sample's (n - 1); that of one element is 0. State: 4 bytes a parameter and `gsnr`, one number a
/// tensor. Xu et al., *No more Adam: learning rate scaling at initialization is all you need*, 2024, arXiv:2412.11768,
/// Algorithm 1; follows AnonymousAlethiometer/SGD_SaI.
final class SgdSai implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("sgd_sai", "Rates scaled at initialization",
                        "Xu, Xiang, Cai, Wen: No more Adam: learning rate scaling at initialization is all you need, 2024, arXiv:2412.11768")
                .follows("AnonymousAlethiometer/SGD_SaI@e213080 sgd_sai/sgd_sai.py")
                .lr(0.01)
                .decay("momentum", 0.9, "how much of the mean gradient is kept each step")
                .eps(1e-8)
                .weightDecay(0.01)
                .slot("momentum_buffer", Spec.Sign.SIGNED)
                .slot("gsnr", Scope.TENSOR, Spec.Sign.UNSIGNED, 0)
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var g = in.grad();
        var buffer = in.slot("momentum_buffer");
        var gsnr = in.slot("gsnr");
        var atFirst = Inputs.norm(Scope.TENSOR, g).over(deviation(g).plus(in.hyper("eps")));
        var ratio = Expr.select(in.first(), atFirst, gsnr.old());
        var m = Expr.select(in.first(), g, Inputs.ema(buffer.old(), g, in.hyper("momentum")));
        var step = in.hyper("lr").negate().times(ratio).times(m);
        return List.of(in.delta(in.decoupledDecay(step)), buffer.becomes(m), gsnr.becomes(ratio));
    }

    private static Expr deviation(Expr g) {
        var others = Inputs.max(Inputs.count(Scope.TENSOR).minus(1), Inputs.one());
        return Inputs.norm(Scope.TENSOR, g.minus(Inputs.mean(Scope.TENSOR, g))).over(Inputs.sqrt(others));
    }
}
