package dev.stepd.expr;

import java.util.ArrayDeque;
import java.util.Collections;
import java.util.Deque;
import java.util.IdentityHashMap;
import java.util.Set;

/// What a value is because of what it is made of in the end. Shared nodes are looked at once: the paths through a graph such
/// as `y = x * x; z = y * y; ...` double with every node.
final class Leaves {
    private final Set<Expr> seen = Collections.newSetFromMap(new IdentityHashMap<>());
    private final Deque<Expr> open = new ArrayDeque<>();

    private Leaves(Expr root) {
        add(root);
    }

    private void add(Expr node) {
        if (seen.add(node)) {
            open.push(node);
        }
    }

    /// Everything below varies over this together.
    static Scope scope(Expr root) {
        var leaves = new Leaves(root);
        var joined = Scope.SESSION;
        while (!leaves.open.isEmpty() && !joined.isElement()) {
            var node = leaves.open.pop();
            if (node instanceof Expr.Reduce || node instanceof Expr.Ranked || node.operands().isEmpty()) {
                joined = joined.join(node.scope());
            } else {
                node.operands().forEach(leaves::add);
            }
        }
        return joined;
    }

    /// Whether the host knows everything below.
    static boolean host(Expr root) {
        var leaves = new Leaves(root);
        while (!leaves.open.isEmpty()) {
            var node = leaves.open.pop();
            if (!possible(node)) {
                return false;
            }
            node.operands().forEach(leaves::add);
        }
        return true;
    }

    /// Whether the host knows the node when it knows the operands.
    private static boolean possible(Expr node) {
        return switch (node) {
            case Expr.Const(Type type, _) -> type == Type.F64 || type == Type.BOOL;
            case Expr.Convert(Type type, _) -> type == Type.F64;
            case Expr.Read _, Expr.Reduce _, Expr.Ranked _, Expr.RunningSum _, Expr.Bits _, Expr.Index _, Expr.Draw _, Expr.Lookup _ -> false;
            case Expr.Hyper _, Expr.Counter _, Expr.Unary _, Expr.Binary _, Expr.Fma _ -> true;
            case Expr.Compare _, Expr.Select _ -> true;
        };
    }
}
