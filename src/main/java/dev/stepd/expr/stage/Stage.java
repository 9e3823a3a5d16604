package dev.stepd.expr.stage;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Order;
import dev.stepd.expr.Program;
import dev.stepd.expr.ReduceOp;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import java.util.LinkedHashSet;
import java.util.List;

/// One fused pass over all indexes of a scope: it reads arrays, computes, and writes or reduces. Its outputs are [Write]s, or
/// [Fold]s over one scope, or one [Scan]. In tiles folds may be followed by writes of what they come by, to locals.
///
/// Values contain nothing but arrays, constants and operations on them; an array of a coarser scope than the pass is
/// one value throughout a run ([#runs]), or one for each block of it ([#follows]).
public record Stage(Scope scope, List<Output> outputs) {
    /// What a pass leaves behind.
    public sealed interface Output {
        Buffer target();

        Expr value();
    }

    /// One value for each index.
    public record Write(Buffer target, Expr value) implements Output {}

    /// The reduction of a value over each index of the target's scope, in the order [Order] fixes.
    public record Fold(ReduceOp op, Buffer target, Expr value) implements Output {}

    /// The running sum of an array of tensors' values: that of each tensor and all before it. The only output of its pass, which
    /// takes the tensors in order.
    public record Scan(Buffer target, Expr value) implements Output {}

    public Stage {
        outputs = List.copyOf(outputs);
        var first = outputs.getFirst();
        for (int i = 1; i < outputs.size(); i++) {
            boolean fits = switch (outputs.get(i)) {
                case Fold fold -> outputs.get(i - 1) instanceof Fold && fold.target().scope().equals(first.target().scope());
                case Write _ -> !(first instanceof Scan);
                case Scan _ -> false;
            };
            if (!fits) {
                throw new IllegalStateException("not the outputs of one pass: " + outputs);
            }
        }
    }

    /// The scope reduced over, or that of the pass when it writes.
    public Scope over() {
        return outputs.getFirst().target().scope();
    }

    public boolean folds() {
        return outputs.getFirst() instanceof Fold;
    }

    public boolean scans() {
        return outputs.getFirst() instanceof Scan;
    }

    /// Every node, operands first.
    public List<Expr> nodes() {
        return Program.nodes(outputs.stream().map(Output::value).toList());
    }

    /// Every array read, in order of first use.
    public List<Buffer> reads() {
        var reads = new LinkedHashSet<Buffer>();
        for (var node : nodes()) {
            if (node instanceof Expr.Read(Buffer buffer)) {
                reads.add(buffer);
            }
        }
        return List.copyOf(reads);
    }

    /// Whether the pass has to know which elements it is at.
    public boolean readsIndex() {
        return nodes().stream().anyMatch(Expr.Index.class::isInstance);
    }

    /// Whether `buffer` has one value throughout each run, rather than one for each index.
    public boolean uniform(Buffer buffer) {
        return buffer.scope().coarserThan(scope) && !buffer.scope().equals(Scope.COLUMN) && !follows(buffer);
    }

    /// Whether `buffer` has one value for each of a run's blocks, which the pass takes as it comes to them: blocks of whole
    /// turns that chunks are whole numbers of. A run begins with a block, or ends with the one it begins in.
    public boolean follows(Buffer buffer) {
        return buffer.scope().kind() == Scope.Kind.BLOCK && followsBlocks();
    }

    private boolean followsBlocks() {
        return scope.isElement()
                && (!folds() || !Scope.TENSOR.coarserThan(over()))
                && reads().stream().map(Buffer::scope).filter(Scope.TENSOR::coarserThan).allMatch(Stage::isFollowed);
    }

    private static boolean isFollowed(Scope scope) {
        return scope.isElement() || scope.kind() == Scope.Kind.BLOCK && Integer.bitCount(scope.size()) == 1
                && scope.size() >= Order.LANES && scope.size() <= Order.CHUNK;
    }

    /// The longest stretch of indexes within which every uniform array keeps its value: the pass is launched once for
    /// each. `ELEMENT` where rows and blocks, or blocks of two sizes, cut across each other: then a run ends wherever any of them
    /// does. Values of the host do not cut it, since only whoever launches knows which tensors share them; nor do indexes, since
    /// only he knows where they go on.
    public Scope runs() {
        var runs = folds() ? run(over()) : Scope.SESSION;
        for (var buffer : reads()) {
            if (buffer.kind() != Buffer.Kind.HOST && buffer.scope().coarserThan(scope)) {
                runs = runs.join(follows(buffer) ? Scope.TENSOR : run(buffer.scope()));
            }
        }
        return runs;
    }

    /// Whether the pass reads or writes values that share bytes.
    public boolean packs() {
        return reads().stream().anyMatch(Stage::packed) || outputs.stream().anyMatch(o -> packed(o.target()));
    }

    private static boolean packed(Buffer buffer) {
        return buffer.storage() == Type.I4;
    }

    /// Whether no run begins within a byte, however many elements tensors and rows have.
    public boolean runsOfBytes() {
        var runs = runs();
        return !packs() || runs.equals(Scope.TENSOR) || runs.coarserThan(Scope.TENSOR)
                || runs.kind() == Scope.Kind.BLOCK && runs.size() % 2 == 0;
    }

    /// Whether a fold has all of an index of its target in one run, as [Order] needs.
    public boolean foldsWholeRuns() {
        return runs().equals(run(over()));
    }

    /// A column's values are read side by side along a row, so a row is one stretch.
    private static Scope run(Scope scope) {
        return scope.equals(Scope.COLUMN) ? Scope.ROW : scope;
    }

    @Override
    public String toString() {
        var assignments = outputs.stream().map(Stage::assignment).toList();
        var text = new Program(assignments).toString();
        return "for each " + scope + (folds() ? ", folding over " + over() : "") + ":\n" + text.indent(4);
    }

    private static Program.Assignment assignment(Output output) {
        return switch (output) {
            case Write(Buffer target, Expr value) -> new Program.Assignment(target, value);
            case Scan(Buffer target, Expr value) -> new Program.Assignment(target, new Expr.RunningSum(value));
            case Fold(ReduceOp op, Buffer target, Expr value) ->
                new Program.Assignment(target, new Expr.Reduce(op, target.scope(), value));
        };
    }
}
