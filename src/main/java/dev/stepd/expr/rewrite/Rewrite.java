package dev.stepd.expr.rewrite;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program;
import java.util.IdentityHashMap;
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
}
