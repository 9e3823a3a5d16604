package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import java.util.List;

/// Lion with the gradient of another convex function K in the sign's place. With weight decay it minimizes `f(p) + K*(wd*p)/wd`,
/// where K* is the conjugate of K: for a norm, `f` within a ball of radius `1/wd` of the dual norm.
///
///     c = b1*m + (1 - b1)*g        delta = -lr*(dK(c) + wd*p)        m <- b2*m + (1 - b2)*g
///
///     l1        K = sum|c|            dK = sign(c), which is Lion: |p| <= 1/wd
///     group_l2  K = sum |c_row|_2     dK = c_row / |c_row|_2 for each row: |p_row|_2 <= 1/wd
///     p_norm    K = |c|_q             dK = sign(c) * (|c| / |c|_q)^(q - 1), with |c|_q = sum(|c|^q)^(1/q) over the tensor
///     p_power   K = sum |c|^q / q     dK = sign(c) * |c|^(q - 1)
///
/// `q` is the `power`. Rows are those of the matrix view; a tensor of fewer than two dimensions is one. Where K has no gradient,
/// dK is 0. State: 4 bytes a parameter. Chen, Liu, Liang, Liu, *Lion secretly solves constrained optimization: as Lyapunov
/// predicts*, 2023, arXiv:2310.05898.
final class LionK implements Rule {
    private static final Hyperparameter.Range POWERS = new Hyperparameter.Range(1, 2, true);

    @Override
    public Spec spec() {
        var lion = new Lion().spec();
        return Spec.of("lion_k", "Lion with another convex function's gradient for the sign",
                        "Chen, Liu, Liang, Liu: Lion secretly solves constrained optimization: as Lyapunov predicts, 2023, arXiv:2310.05898")
                .follows("the paper's own formulation")
                .like(lion, "lr", "beta1", "beta2", "weight_decay")
                .choice("k", "the convex function whose gradient the step takes", "l1", "group_l2", "p_norm", "p_power")
                .real("power", 1.5, POWERS, "power of p_norm and p_power")
                .slot("exp_avg", Spec.Sign.SIGNED)
                .build();
    }

    @Override
    public List<Assignment> step(Inputs in) {
        return Lion.step(in, c -> gradient(in, c));
    }

    private static Expr gradient(Inputs in, Expr c) {
        if (in.chosen("k", "l1")) {
            return Inputs.sign(c);
        }
        if (in.chosen("k", "group_l2")) {
            return share(c, Inputs.norm(Scope.ROW, c));
        }
        var size = in.chosen("k", "p_norm") ? share(Inputs.abs(c), norm(in, c)) : Inputs.abs(c);
        return Inputs.sign(c).times(Inputs.pow(size, in.hyper("power").minus(1)));
    }

    private static Expr norm(Inputs in, Expr c) {
        var p = in.hyper("power");
        var sum = Inputs.sum(Scope.TENSOR, Inputs.pow(Inputs.abs(c).as(Type.F64), p));
        return Inputs.pow(sum, Inputs.one().over(p));
    }

    /// `x / whole`, and 0 of nothing.
    private static Expr share(Expr x, Expr whole) {
        var some = Expr.select(Inputs.positive(whole), whole, Inputs.one());
        return x.over(some);
    }
}
