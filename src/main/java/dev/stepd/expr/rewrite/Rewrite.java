package dev.stepd.expr.rewrite;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.CompareOp;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Program;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.function.UnaryOperator;

/// A change to a program that keeps the bits of every assigned value.
@FunctionalInterface
public interface Rewrite {
    Program apply(Program program);

    /// Rebuilds a program from its leaves up: `change` sees each node once, its operands already changed.
    static Program bottomUp(Program program, UnaryOperator<Expr> change) {
        var changed = new IdentityHashMap<Expr, Expr>();
        for (var node : program.nodes()) {
            var operands = node.operands();
            var after = operands.stream().map(changed::get).toList();
            if (node instanceof Expr.Reduce(_, _, Expr x)) {
                after = List.of(spread(after.getFirst(), x.scope()));
            }
            if (node instanceof Expr.RunningSum(Expr x)) {
                after = List.of(spread(after.getFirst(), x.scope()));
            }
            if (node instanceof Expr.Ranked(_, Expr x, _)) {
                after = List.of(spread(after.getFirst(), x.scope()), after.getLast());
            }
            boolean same = true;
            for (int i = 0; i < after.size(); i++) {
                same &= after.get(i) == operands.get(i);
            }
            var rebuilt = change.apply(same ? node : node.with(after));
            if (rebuilt.type() != node.type()) {
                throw new IllegalStateException("a rewrite made " + rebuilt.type() + " of " + node.type());
            }
            changed.put(node, rebuilt);
        }
        return program.map(changed::get);
    }

    /// The value once for each index of `scope`, as a reduction counts it: a value that no longer depends on elements, such as
    /// one branch of a select, is still summed once for each.
    private static Expr spread(Expr value, Scope scope) {
        if (value.scope().equals(scope)) {
            return value;
        }
        var count = new Expr.Read(new Buffer(Buffer.Kind.EXTENT, "", scope, Type.F64));
        return new Expr.Select(Expr.compare(CompareOp.LT, count, Expr.constant(0)), value, value);
    }
}
