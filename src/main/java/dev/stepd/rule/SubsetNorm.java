package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.tensor.Shape;
import dev.stepd.tensor.TensorSpec;
import java.util.ArrayList;
import java.util.List;

/// Adam or AdaGrad with one second moment for each subset of a matrix instead of each element.
///
///     s = sum of g^2 over the subset        m <- b1*m + (1 - b1)*g, or m = g where b1 is 0
///     adam: v <- b2*v + (1 - b2)*s, r = lr*sqrt(1 - b2^t) / (1 - b1^t)        adagrad: v <- v + s, r = lr
///     u = -r*m / (sqrt(v) + eps)        delta = u - lr*wd*(p + u)
///
/// A subset is a slice along the second dimension where the first is at least as long, else along the first; `subset_size` n > 0
/// makes it n consecutive elements, or the largest divisor of their number below; n < 0 the same with the root of their number over
/// -n. Vectors have one for each element. State: 4 bytes a parameter and 4 a subset. Nguyen, Nguyen, *Subset-norm and
/// subspace-momentum*, 2024, arXiv:2411.07120, Algorithm 1; follows timmytonga/sn-sm.
final class SubsetNorm implements Rule {
    private static final String ROWS = "matrix with subsets in rows";
    private static final String COLUMNS = "matrix with subsets in columns";

    @Override
    public Spec spec() {
        return Spec.of("subset_norm", "Adam with a second moment for each subset",
                        "Nguyen, Nguyen: Subset-norm and subspace-momentum: faster memory-efficient adaptive optimization with convergence guarantees, 2024, arXiv:2411.07120")
                .follows("timmytonga/sn-sm@a4c1a4a GenericOptim.py, subset_norm.py")
                .lr(1e-3)
                .betas(0.9, 0.999)
                .eps(1e-6)
                .weightDecay(0)
                .choice("base", "whether the second moment is a mean or a sum", "adam", "adagrad")
                .choiceOrWhole("subset_size", "what is a subset: a slice, this many elements, or the root of their number over minus this", "heuristics")
                .slot("exp_avg", Spec.Sign.SIGNED)
                .slot("exp_avg_sq", Scope.ROW, Spec.Sign.UNSIGNED, 0)
                .build();
    }

    @Override
    public List<Spec.SlotSpec> slots(Settings settings, String kind) {
        return spec().slots().stream()
                .map(slot -> slot.name().equals("exp_avg_sq") ? slot.over(subset(kind)) : slot)
                .toList();
    }

    private static Scope subset(String kind) {
        return switch (kind) {
            case ROWS -> Scope.ROW;
            case COLUMNS -> Scope.COLUMN;
            default -> Scope.ELEMENT;
        };
    }

    @Override
    public List<View> views(List<TensorSpec> tensors, Settings settings) {
        return tensors.stream().map(tensor -> view(tensor.shape(), settings.choice("subset_size"))).toList();
    }

    private static View view(Shape shape, String size) {
        if (!View.isMatrix(shape)) {
            return View.of(shape).as(View.VECTOR);
        }
        if (!size.equals("heuristics")) {
            long columns = divisor(shape.elementCount(), Long.parseLong(size));
            return new View(ROWS, 1, shape.elementCount() / columns);
        }
        long first = shape.extents().get(0);
        long second = shape.extents().get(1);
        if (first < second) {
            return new View(COLUMNS, 1, first);
        }
        boolean flat = shape.columns() == second;
        return flat ? new View(ROWS, 1, first) : new View(COLUMNS, first, second);
    }

    /// The largest divisor of `count` that is at most the size asked for.
    private static long divisor(long count, long size) {
        long most = size > 0 ? size : (long) Math.sqrt(count) / -size;
        for (long divisor = Math.min(Math.max(1, most), Math.max(1, count)); divisor > 1; divisor--) {
            if (count % divisor == 0) {
                return divisor;
            }
        }
        return 1;
    }

    @Override
    public List<String> kinds() {
        return List.of(ROWS, COLUMNS, View.VECTOR);
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var writes = new ArrayList<Assignment>();
        boolean adam = in.chosen("base", "adam");
        var beta2 = in.hyper("beta2");
        var expAvgSq = in.slot("exp_avg_sq");
        var squares = squares(in);
        var v = adam ? Inputs.ema(expAvgSq.old(), squares, beta2) : expAvgSq.old().plus(squares);
        writes.add(expAvgSq.becomes(v));
        var m = in.grad();
        var correction = Inputs.one();
        if (in.on("beta1")) {
            var expAvg = in.slot("exp_avg");
            m = Inputs.ema(expAvg.old(), m, in.hyper("beta1"));
            writes.add(expAvg.becomes(m));
            correction = in.biasCorrection(in.hyper("beta1"));
        }
        var lr = in.hyper("lr");
        var rate = adam ? lr.times(Inputs.sqrt(in.biasCorrection(beta2))).over(correction) : lr;
        var step = rate.negate().times(m.over(Inputs.sqrt(v).plus(in.hyper("eps"))));
        var share = lr.times(in.hyper("weight_decay"));
        writes.addFirst(in.delta(in.on("weight_decay") ? in.decayedAfter(step, share) : step));
        return writes;
    }

    private static Expr squares(Inputs in) {
        if (in.is(View.VECTOR)) {
            return in.grad().squared();
        }
        var subset = in.is(ROWS) ? Scope.ROW : Scope.COLUMN;
        return Inputs.sum(subset, in.grad().as(Type.F64).squared());
    }
}
