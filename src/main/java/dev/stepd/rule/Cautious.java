package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;

/// Updates that go against the gradient of the step are left out, and the others grow for them; weight decay is not the
/// update's and joins afterwards.
///
///     u the update before decoupled decay        k = 1 where u*g < 0, else 0
///     u <- u*k / max(mean(k), 1e-3), with scale count u*k * n / (sum(k) + 1)
///
/// Mean, sum and the number n of elements are the tensor's. State: none. Liang, Chen, Liu, Liu, *Cautious optimizers: improving
/// training with one line of code*, 2024, arXiv:2411.16085, Algorithm 1; follows kyleliang919/C-Optim, whose AdamW scales by the
/// mean and whose Lion by the count.
final class Cautious implements Wrapper {
    @Override
    public Spec spec() {
        return Spec.of("cautious", "Updates only along the gradient",
                        "Liang, Chen, Liu, Liu: Cautious optimizers: improving training with one line of code, 2024, arXiv:2411.16085")
                .follows("kyleliang919/C-Optim@2c0517c c_adamw.py, c_lion.py")
                .choice("scale", "what the updates that are left grow by: 1 / mean(k), or n / (sum(k) + 1)", "mean", "count")
                .build();
    }

    @Override
    public Move step(Inputs in, Inner inner) {
        return inner.updating((update, grad) -> along(in, update, grad)).step();
    }

    /// Signs are compared, not the product's: that of two tiny numbers is 0.
    private static Expr along(Inputs in, Expr update, Expr grad) {
        var agrees = Inputs.positive(Inputs.sign(update).times(Inputs.sign(grad)).negate());
        var kept = Expr.select(agrees, Expr.constant(Type.F64, 1), Expr.constant(0));
        var growth = in.chosen("scale", "mean")
                ? Inputs.one().over(Inputs.max(Inputs.mean(Scope.TENSOR, kept), Expr.constant(1e-3)))
                : Inputs.count(Scope.TENSOR).over(Inputs.sum(Scope.TENSOR, kept).plus(1));
        return Expr.select(agrees, update.times(growth), Expr.constant(0));
    }
}
