package dev.stepd.expr;

import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.UnaryOperator;

/// What one step does: assignments that all read the values before the step and take effect together.
public record Program(List<Assignment> assignments) {
    /// `target <- value`.
    public record Assignment(Buffer target, Expr value) {
        public Assignment {
            if (value.type() != target.storage().loaded()) {
                throw new IllegalStateException(target + " holds " + target.storage() + ", not " + value.type());
            }
            if (!value.scope().equals(target.scope()) && !value.scope().coarserThan(target.scope())) {
                throw new IllegalStateException(
                        target + " has one value for each " + target.scope() + ", not for each " + value.scope());
            }
        }
    }

    public Program {
        assignments = List.copyOf(assignments);
        var targets = new LinkedHashSet<Buffer>();
        for (var assignment : assignments) {
            if (!targets.add(assignment.target())) {
                throw new IllegalStateException(assignment.target() + " is assigned twice");
            }
        }
    }

    /// The program with every assigned value replaced.
    public Program map(UnaryOperator<Expr> change) {
        return new Program(
                assignments.stream().map(a -> new Assignment(a.target(), change.apply(a.value()))).toList());
    }

    /// Every node, operands before the nodes made of them, each once.
    public List<Expr> nodes() {
        return nodes(assignments.stream().map(Assignment::value).toList());
    }

    /// Every node below `roots`, operands before the nodes made of them, each once.
    public static List<Expr> nodes(List<Expr> roots) {
        Set<Expr> seen = Collections.newSetFromMap(new IdentityHashMap<>());
        var ordered = new ArrayList<Expr>();
        roots.forEach(root -> visit(root, seen, ordered));
        return ordered;
    }

    private static void visit(Expr node, Set<Expr> seen, List<Expr> ordered) {
        if (seen.add(node)) {
            node.operands().forEach(operand -> visit(operand, seen, ordered));
            ordered.add(node);
        }
    }

    /// Every array the program reads.
    public Set<Buffer> reads() {
        var reads = new LinkedHashSet<Buffer>();
        for (var node : nodes()) {
            if (node instanceof Expr.Read(Buffer buffer)) {
                reads.add(buffer);
            }
        }
        return reads;
    }

    @Override
    public String toString() {
        return Printer.print(this);
    }
}
