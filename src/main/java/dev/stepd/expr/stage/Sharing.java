package dev.stepd.expr.stage;

import dev.stepd.expr.BinaryOp;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Program;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.expr.UnaryOp;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/// Computes element values that several stages of a tile need once: the first stores them, in a local array, and the
/// others read them back. The bits are the same either way.
///
///     fold |b*m + g| over block;  m <- (b*m + g) / scale
///     -> fold |b*m + g| over block, t <- b*m + g;  m <- t / scale
///
/// Only what takes some work is stored: a store and the loads are worth a few operations.
final class Sharing {
    /// Names no other array of the plan has.
    @FunctionalInterface
    interface Names {
        String next();
    }

    private static final int WORTH_STORING = 3;
    /// Division, square root and looking up take several times as long as any other operation.
    private static final int SLOW = 4;

    private final List<Stage> stages;
    /// By value: the stages over elements that need it, by position.
    private final Map<Expr, List<Integer>> users = new IdentityHashMap<>();
    private final Set<Expr> stored = Collections.newSetFromMap(new IdentityHashMap<>());
    private final Map<Expr, Buffer> temps = new IdentityHashMap<>();

    private Sharing(List<Stage> stages) {
        this.stages = stages;
    }

    /// The stages with shared values stored.
    static List<Stage> share(List<Stage> stages, Names names) {
        var sharing = new Sharing(stages);
        sharing.findUsers();
        sharing.choose();
        return sharing.rewrite(names);
    }

    private void findUsers() {
        for (int i = 0; i < stages.size(); i++) {
            if (stages.get(i).scope().isElement()) {
                for (var node : stages.get(i).nodes()) {
                    users.computeIfAbsent(node, _ -> new ArrayList<>()).add(i);
                }
            }
        }
    }

    private void choose() {
        Set<Expr> seen = Collections.newSetFromMap(new IdentityHashMap<>());
        for (var stage : stages) {
            if (stage.scope().isElement()) {
                stage.outputs().forEach(output -> descend(output.value(), seen));
            }
        }
        for (var node : Program.nodes(List.copyOf(stored))) {
            if (stored.contains(node) && work(node) < WORTH_STORING) {
                stored.remove(node);
            }
        }
    }

    /// Finds the largest values that more than one stage needs.
    private void descend(Expr node, Set<Expr> seen) {
        if (!seen.add(node) || node.operands().isEmpty()) {
            return;
        }
        if (users.get(node).size() > 1 && isStorable(node)) {
            stored.add(node);
        } else {
            node.operands().forEach(operand -> descend(operand, seen));
        }
    }

    private static boolean isStorable(Expr node) {
        boolean trivial = node instanceof Expr.Unary(UnaryOp op, _) && (op == UnaryOp.NEG || op == UnaryOp.ABS);
        return node.type().isReal() && !trivial && !(node instanceof Expr.Convert) && node.scope().isElement();
    }

    /// What computing a value takes, given those that are stored.
    private int work(Expr root) {
        Set<Expr> seen = Collections.newSetFromMap(new IdentityHashMap<>());
        var open = new ArrayList<>(List.of(root));
        int work = 0;
        while (!open.isEmpty()) {
            var node = open.removeLast();
            if (seen.add(node) && (node == root || !stored.contains(node))) {
                work += work(node, node.operands().isEmpty());
                open.addAll(node.operands());
            }
        }
        return work;
    }

    private static int work(Expr node, boolean leaf) {
        boolean slow = node instanceof Expr.Binary(BinaryOp op, _, _) && op == BinaryOp.DIV
                || node instanceof Expr.Unary(UnaryOp of, _) && of == UnaryOp.SQRT
                || node instanceof Expr.Lookup;
        return leaf ? 0 : slow ? SLOW : 1;
    }

    private List<Stage> rewrite(Names names) {
        var rewritten = new ArrayList<Stage>();
        for (int i = 0; i < stages.size(); i++) {
            var stage = stages.get(i);
            if (!stage.scope().isElement()) {
                rewritten.add(stage);
                continue;
            }
            var first = storedAt(i);
            first.forEach(node ->
                    temps.put(node, new Buffer(Buffer.Kind.TEMP, names.next(), Scope.ELEMENT, node.type())));
            var storing = stage(stage.outputs(), first);
            if (first.isEmpty() || !stage.folds() || storesOnTheWay(storing)) {
                rewritten.add(storing);
            } else {
                rewritten.add(stage(List.of(), first));
                rewritten.add(stage(stage.outputs(), List.of()));
            }
        }
        return rewritten;
    }

    /// Whether a fold had better store what it comes by itself. One in f64 would compute it in shorter vectors.
    private static boolean storesOnTheWay(Stage fold) {
        return fold.foldsWholeRuns() && fold.nodes().stream().noneMatch(node -> node.type() == Type.F64 && node.scope().isElement());
    }

    /// A stage over elements that reads what earlier ones stored.
    ///
    /// @param first values that it is the one to store
    private Stage stage(List<Stage.Output> outputs, List<Expr> first) {
        var reading = new IdentityHashMap<Expr, Expr>();
        first.forEach(node -> reading.put(node, node.with(reading(node.operands(), reading))));
        var all = new ArrayList<Stage.Output>();
        for (var output : outputs) {
            var value = reading(output.value(), reading);
            all.add(switch (output) {
                case Stage.Write write -> new Stage.Write(write.target(), value);
                case Stage.Scan _ -> throw new IllegalStateException("a running sum in a tile: " + output);
                case Stage.Fold fold -> new Stage.Fold(fold.op(), fold.target(), value);
            });
        }
        first.forEach(node -> all.add(new Stage.Write(temps.get(node), reading.get(node))));
        return new Stage(Scope.ELEMENT, all);
    }

    private List<Expr> reading(List<Expr> nodes, Map<Expr, Expr> reading) {
        return nodes.stream().map(node -> reading(node, reading)).toList();
    }

    private Expr reading(Expr node, Map<Expr, Expr> reading) {
        var known = reading.get(node);
        if (known == null) {
            var temp = temps.get(node);
            known = temp != null ? new Expr.Read(temp)
                    : node.operands().isEmpty() ? node
                    : node.with(reading(node.operands(), reading));
            reading.put(node, known);
        }
        return known;
    }

    /// The stored values that the stage at a position is the first to need, operands first.
    private List<Expr> storedAt(int position) {
        return Program.nodes(List.copyOf(stored)).stream()
                .filter(node -> stored.contains(node) && users.get(node).getFirst() == position)
                .toList();
    }
}
