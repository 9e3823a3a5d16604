package dev.stepd.expr.rewrite;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;

/// Equal operations on the same operands become one node, computed once.
///
/// `a + b` and `b + a` stay two: their values agree, but the payload of a NaN may not.
public final class ShareSubexpressions implements Rewrite {
    /// A node up to the identity of its operands. Leaves are their own description.
    private record Shape(Object operation, List<Integer> operands) {}

    @Override
    public Program apply(Program program) {
        var first = new HashMap<Shape, Expr>();
        var numbers = new IdentityHashMap<Expr, Integer>();
        return Rewrite.bottomUp(program, node -> {
            var shared = first.computeIfAbsent(shape(node, numbers), _ -> node);
            numbers.putIfAbsent(shared, numbers.size());
            return shared;
        });
    }

    private static Shape shape(Expr node, Map<Expr, Integer> numbers) {
        var operands = new ArrayList<Integer>();
        node.operands().forEach(operand -> operands.add(numbers.get(operand)));
        Object operation = switch (node) {
            case Expr.Const _, Expr.Hyper _, Expr.Counter _, Expr.Index _, Expr.Draw _, Expr.Read _ -> node;
            case Expr.Unary unary -> unary.op();
            case Expr.Binary binary -> binary.op();
            case Expr.Fma _ -> Expr.Fma.class;
            case Expr.Compare compare -> compare.op();
            case Expr.Select _ -> Expr.Select.class;
            case Expr.Convert convert -> convert.type();
            case Expr.Bits _ -> Expr.Bits.class;
            case Expr.Lookup lookup -> lookup.table();
            case Expr.Reduce reduce -> List.of(reduce.op(), reduce.over());
            case Expr.RunningSum _ -> Expr.RunningSum.class;
            case Expr.Ranked ranked -> List.of(Expr.Ranked.class, ranked.over());
        };
        return new Shape(operation, operands);
    }
}
