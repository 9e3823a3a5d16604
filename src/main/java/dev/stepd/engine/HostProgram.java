package dev.stepd.engine;

import dev.stepd.expr.BinaryOp;
import dev.stepd.expr.CompareOp;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Program;
import dev.stepd.expr.Scalar;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.expr.UnaryOp;
import java.util.IdentityHashMap;
import java.util.List;

/// What the host computes before a step (bias corrections, rates, conditions), in f64 and always with `StrictMath`, so that
/// every machine has the same numbers. Evaluation allocates nothing.
final class HostProgram {
    private final Expr[] nodes;
    private final int[][] operands;
    /// By node: which hyperparameter it is, or -1.
    private final int[] numbers;
    private final int[] results;
    private final long[] values;

    /// @param roots host values; their results are numbered in this order
    /// @param names the hyperparameters, in the order [#evaluate] gets their values
    HostProgram(List<Expr> roots, List<String> names) {
        nodes = Program.nodes(roots).toArray(Expr[]::new);
        operands = new int[nodes.length][];
        numbers = new int[nodes.length];
        values = new long[nodes.length];
        var positions = new IdentityHashMap<Expr, Integer>();
        for (int i = 0; i < nodes.length; i++) {
            positions.put(nodes[i], i);
            operands[i] = nodes[i].operands().stream().mapToInt(positions::get).toArray();
            numbers[i] = nodes[i] instanceof Expr.Hyper(String name, _) ? names.indexOf(name) : -1;
        }
        results = roots.stream().mapToInt(positions::get).toArray();
    }

    /// @param hyper the hyperparameters' values at this step
    /// @param t the step as the tensors in question count it
    /// @param latest the largest such count of the step
    void evaluate(double[] hyper, long t, long latest) {
        for (int i = 0; i < nodes.length; i++) {
            values[i] = compute(i, hyper, t, latest);
        }
    }

    double number(int result) {
        return Double.longBitsToDouble(values[results[result]]);
    }

    boolean condition(int result) {
        return values[results[result]] != 0;
    }

    private long compute(int i, double[] hyper, long t, long latest) {
        var at = operands[i];
        return switch (nodes[i]) {
            case Expr.Const(_, long bits) -> bits;
            case Expr.Hyper _ -> Double.doubleToRawLongBits(hyper[numbers[i]]);
            case Expr.Counter(Scope scope) -> Double.doubleToRawLongBits(scope.equals(Scope.SESSION) ? latest : t);
            case Expr.Unary(UnaryOp op, _) -> Scalar.unary(op, Type.F64, values[at[0]]);
            case Expr.Binary(BinaryOp op, Expr a, _) -> Scalar.binary(op, a.type(), values[at[0]], values[at[1]]);
            case Expr.Fma _ -> Scalar.fma(Type.F64, values[at[0]], values[at[1]], values[at[2]]);
            case Expr.Compare(CompareOp op, _, _) ->
                Scalar.compare(op, Type.F64, values[at[0]], values[at[1]]) ? 1 : 0;
            case Expr.Select _ -> values[at[0]] != 0 ? values[at[1]] : values[at[2]];
            case Expr.Convert _ -> values[at[0]];
            case Expr.Read _, Expr.Bits _, Expr.Reduce _, Expr.Ranked _, Expr.RunningSum _, Expr.Index _, Expr.Draw _, Expr.Lookup _ ->
                throw new IllegalStateException("not known to the host: " + nodes[i]);
        };
    }
}
