package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Scope;
import dev.stepd.tensor.TensorSpec;
import java.util.List;

/// Neurons that keep mean 0 and norm 1, each with a learning rate of its own.
///
///     before step 1, of matrices if constrained: p <- p - mean, then p <- p / norm, of each row
///     scale = the mean norm of rows then, of vectors the mean of |p|; 0.01 if that is 0
///     v <- b*v + (1 - b)*|g|^2 of the row, of vectors of each element
///     p <- p - lr*scale * g / sqrt(v / (1 - b^t)), nothing where v is 0; rows of matrices are constrained again
///
/// The first delta holds the first constraint, so that it starts from what the client has. State: one number a row and one a tensor;
/// 4 bytes a parameter of vectors. Liu, Bernstein, Meister, Yue, *Learning by turning: neural architecture aware
/// optimisation*, 2021, arXiv:2102.07227, Algorithm 1; follows jxbz/nero. A row of norm 0 stays, where the reference has NaN.
final class Nero implements Rule {
    @Override
    public Spec spec() {
        return Spec.of("nero", "Neurons of mean 0 and norm 1",
                        "Liu, Bernstein, Meister, Yue: Learning by turning: neural architecture aware optimisation, 2021, arXiv:2102.07227")
                .follows("jxbz/nero@32436c0 nero.py")
                .lr(0.01)
                .decay("beta", 0.999, "how much of a row's mean squared norm is kept each step")
                .flag("constraints", true, "keep every row of a matrix at mean 0 and norm 1")
                .slot("exp_avg_sq", Scope.ROW, Spec.Sign.UNSIGNED, 0)
                .slot("scale", Scope.TENSOR, Spec.Sign.UNSIGNED, 0)
                .build();
    }

    @Override
    public List<Spec.SlotSpec> slots(Settings settings, String kind) {
        return spec().slots().stream()
                .map(slot -> kind.equals(View.VECTOR) && slot.scope().equals(Scope.ROW) ? slot.over(Scope.ELEMENT) : slot)
                .toList();
    }

    @Override
    public List<View> views(List<TensorSpec> tensors, Settings settings) {
        return View.matricesAndVectors(tensors);
    }

    @Override
    public List<String> kinds() {
        return View.MATRICES_AND_VECTORS;
    }

    @Override
    public List<Assignment> step(Inputs in) {
        boolean matrix = in.is(View.MATRIX);
        boolean constrained = matrix && in.flag("constraints");
        var p = constrained ? Expr.select(in.first(), constrained(in.param()), in.param()) : in.param();
        var norms = matrix ? Inputs.norm(Scope.ROW, p) : Inputs.abs(p);
        var size = matrix
                ? Inputs.sum(Scope.TENSOR, norms).over(Inputs.count(Scope.TENSOR).over(Inputs.columns()))
                : Inputs.mean(Scope.TENSOR, norms);
        var scale = in.slot("scale");
        var start = Expr.select(Inputs.positive(size), size, Expr.constant(0.01));
        var kept = Expr.select(in.first(), start, scale.old());
        var expAvgSq = in.slot("exp_avg_sq");
        var square = matrix ? Inputs.dot(Scope.ROW, in.grad(), in.grad()) : in.grad().squared();
        var v = Inputs.ema(expAvgSq.old(), square, in.hyper("beta"));
        var root = Inputs.sqrt(v.over(in.biasCorrection(in.hyper("beta"))));
        var turn = Expr.select(Inputs.positive(root), in.grad().over(root), Expr.constant(0));
        var moved = p.minus(in.hyper("lr").times(kept).times(turn));
        var ends = constrained ? constrained(moved) : moved;
        return List.of(in.delta(ends.minus(in.param())), expAvgSq.becomes(v), scale.becomes(kept));
    }

    private static Expr constrained(Expr rows) {
        var centred = rows.minus(Inputs.mean(Scope.ROW, rows));
        var norm = Inputs.norm(Scope.ROW, centred);
        return Expr.select(Inputs.positive(norm), centred.over(norm), centred);
    }
}
