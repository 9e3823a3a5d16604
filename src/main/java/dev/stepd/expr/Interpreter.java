package dev.stepd.expr;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleBiFunction;

/// Runs a program value by value, exactly as written, one node over all its indexes after the other: slow, on the heap,
/// and simple enough to be believed. Everything generated must give its bits.
///
/// It knows nothing of stages. Programs built with element type `F64` run in f64 throughout.
public final class Interpreter {
    /// The tensors a program runs over, in the order reductions take them.
    ///
    /// @param slabs matrices the tensor is seen as, one after the other
    /// @param rows rows of each, together at most `elements`
    /// @param present whether the tensor has a gradient; without one nothing of it changes or is counted
    /// @param step the number of this step as the tensor counts it
    /// @param origin elements of the tensors that the session declares before it
    public record Extent(int elements, int slabs, int rows, int group, boolean present, long step, long origin) {
        /// One matrix, of a program that neither draws nor asks for indexes.
        public Extent(int elements, int rows, int group, boolean present, long step) {
            this(elements, 1, rows, group, present, step, 0);
        }

        int columns() {
            return slabs * rows == 0 ? 0 : elements / (slabs * rows);
        }

        int size(Scope scope) {
            return switch (scope.kind()) {
                case ELEMENT -> elements;
                case ROW -> slabs * rows;
                case COLUMN -> slabs * columns();
                case BLOCK -> Math.ceilDiv(elements, scope.size());
                case TENSOR -> 1;
                case GROUP, SESSION -> throw new IllegalStateException("no tensor has a part of a " + scope);
            };
        }
    }

    private final List<Extent> extents;
    private final ToDoubleBiFunction<String, Integer> hyper;
    private final Map<Buffer, long[]> arrays;
    private final Map<Scope, int[]> starts = new HashMap<>();
    private final Map<Expr, long[]> values = new IdentityHashMap<>();

    private Interpreter(
            List<Extent> extents, ToDoubleBiFunction<String, Integer> hyper, Map<Buffer, long[]> arrays) {
        this.extents = extents;
        this.hyper = hyper;
        this.arrays = arrays;
    }

    /// Takes one step.
    ///
    /// @param hyper a hyperparameter by name and group
    /// @param arrays the bits of every array the program reads or writes ([Scalar]), one for each index of its
    ///     scope in tensor order; written in place. What belongs to absent tensors stays.
    public static void run(
            Program program,
            List<Extent> extents,
            ToDoubleBiFunction<String, Integer> hyper,
            Map<Buffer, long[]> arrays) {
        var interpreter = new Interpreter(extents, hyper, arrays);
        var results = program.assignments().stream().map(a -> interpreter.value(a.value())).toList();
        for (int i = 0; i < results.size(); i++) {
            interpreter.assign(program.assignments().get(i), results.get(i));
        }
    }

    /// How many values of `scope` there are.
    public static int count(List<Extent> extents, Scope scope) {
        return switch (scope.kind()) {
            case SESSION -> 1;
            case GROUP -> 1 + extents.stream().mapToInt(Extent::group).max().orElse(0);
            case TENSOR, ROW, COLUMN, BLOCK, ELEMENT -> extents.stream().mapToInt(e -> e.size(scope)).sum();
        };
    }

    private void assign(Program.Assignment assignment, long[] result) {
        var scope = assignment.target().scope();
        var target = arrays.get(assignment.target());
        for (int i = 0; i < target.length; i++) {
            if (scope.equals(Scope.SESSION) || scope.equals(Scope.GROUP) || extents.get(tensor(scope, i)).present) {
                long bits = result[index(assignment.value().scope(), scope, i)];
                target[i] = Scalar.stored(assignment.target().storage(), bits);
            }
        }
    }

    private long[] value(Expr node) {
        var known = values.get(node);
        if (known != null) {
            return known;
        }
        node.operands().forEach(this::value);
        var computed = node instanceof Expr.Reduce reduce ? reduce(reduce)
                : node instanceof Expr.Ranked ranked ? rank(ranked)
                : node instanceof Expr.RunningSum running ? sumUp(running)
                : each(node);
        values.put(node, computed);
        return computed;
    }

    private long[] each(Expr node) {
        var result = new long[count(extents, node.scope())];
        for (int i = 0; i < result.length; i++) {
            result[i] = compute(node, i);
        }
        return result;
    }

    private long compute(Expr node, int i) {
        return switch (node) {
            case Expr.Const(_, long bits) -> bits;
            case Expr.Hyper(String name, Scope scope) ->
                Scalar.of(Type.F64, hyper.applyAsDouble(name, scope.equals(Scope.SESSION) ? 0 : extents.get(i).group));
            case Expr.Counter(Scope scope) ->
                Scalar.of(Type.F64, scope.equals(Scope.SESSION) ? latestStep() : extents.get(i).step);
            case Expr.Index() -> index(i);
            case Expr.Draw(String stream) -> draw(stream, i);
            case Expr.Read(Buffer buffer) when buffer.kind() == Buffer.Kind.EXTENT -> extent(buffer.scope(), i);
            case Expr.Read(Buffer buffer) -> arrays.get(buffer)[i];
            case Expr.Unary(UnaryOp op, Expr x) -> Scalar.unary(op, x.type(), at(x, node, i));
            case Expr.Binary(BinaryOp op, Expr a, Expr b) ->
                Scalar.binary(op, a.type(), at(a, node, i), at(b, node, i));
            case Expr.Fma(Expr a, Expr b, Expr c) ->
                Scalar.fma(a.type(), at(a, node, i), at(b, node, i), at(c, node, i));
            case Expr.Compare(CompareOp op, Expr a, Expr b) ->
                Scalar.compare(op, a.type(), at(a, node, i), at(b, node, i)) ? 1 : 0;
            case Expr.Select(Expr condition, Expr then, Expr otherwise) ->
                at(condition, node, i) != 0 ? at(then, node, i) : at(otherwise, node, i);
            case Expr.Convert(Type type, Expr x) -> Scalar.convert(x.type(), type, at(x, node, i));
            case Expr.Bits(Expr x) -> Scalar.twin(x.type(), at(x, node, i));
            case Expr.Lookup(Table table, Expr x) -> table.at((int) at(x, node, i));
            case Expr.Reduce _, Expr.Ranked _, Expr.RunningSum _ -> throw new IllegalStateException("of many operand values: " + node);
        };
    }

    private int index(int element) {
        int tensor = tensor(Scope.ELEMENT, element);
        return (int) (extents.get(tensor).origin + element - starts(Scope.ELEMENT)[tensor]);
    }

    private int draw(String stream, int element) {
        long step = extents.get(tensor(Scope.ELEMENT, element)).step;
        return Draws.draw(hyper.applyAsDouble(Draws.SEED, 0), stream, step, index(element));
    }

    private long latestStep() {
        return extents.stream().filter(Extent::present).mapToLong(Extent::step).max().orElse(1);
    }

    private long at(Expr operand, Expr user, int i) {
        return values.get(operand)[index(operand.scope(), user.scope(), i)];
    }

    private long[] reduce(Expr.Reduce node) {
        var from = node.x().scope();
        if (node.over().coarserThan(Scope.TENSOR) && Scope.TENSOR.coarserThan(from)) {
            // By way of the tensors, so that no tensor's chunks straddle another's.
            return value(new Expr.Reduce(node.op(), node.over(), new Expr.Reduce(node.op(), Scope.TENSOR, node.x())));
        }
        var inputs = values.get(node.x());
        var members = members(from, node.over());
        var result = new long[members.size()];
        for (int i = 0; i < result.length; i++) {
            var within = members.get(i);
            var order = (Order.Values) position -> within.get(position) < 0
                    ? node.op().identity()
                    : Scalar.toDouble(node.type(), inputs[within.get(position)]);
            result[i] = Scalar.of(node.type(), node.over().equals(Scope.COLUMN)
                    ? Order.reduceColumn(node.op(), within.size(), order)
                    : Order.reduce(node.op(), within.size(), order));
        }
        return result;
    }

    private long[] sumUp(Expr.RunningSum node) {
        var result = new long[extents.size()];
        double sum = 0;
        for (int tensor = 0; tensor < result.length; tensor++) {
            if (extents.get(tensor).present) {
                sum += Double.longBitsToDouble(values.get(node.x())[tensor]);
            }
            result[tensor] = Double.doubleToRawLongBits(sum);
        }
        return result;
    }

    private long[] rank(Expr.Ranked node) {
        var type = node.x().type();
        var members = members(node.x().scope(), node.over());
        var result = new long[members.size()];
        for (int i = 0; i < result.length; i++) {
            var numbers = members.get(i).stream()
                    .filter(j -> j >= 0)
                    .mapToDouble(j -> Scalar.toDouble(type, values.get(node.x())[j]))
                    .filter(value -> !Double.isNaN(value))
                    .sorted()
                    .toArray();
            double rank = Scalar.toDouble(Type.F64, at(node.rank(), node, i));
            boolean exists = rank >= 1 && rank <= numbers.length;
            double ranked = exists ? numbers[numbers.length - (int) rank] + 0.0 : Double.NaN;
            result[i] = Double.doubleToRawLongBits(ranked);
        }
        return result;
    }

    /// The indexes of `from` within each index of `over`; -1 stands for those of absent tensors, which keep their place.
    private List<List<Integer>> members(Scope from, Scope over) {
        var members = new ArrayList<List<Integer>>();
        for (int i = 0; i < count(extents, over); i++) {
            members.add(new ArrayList<>());
        }
        for (int j = 0; j < count(extents, from); j++) {
            boolean counts = from.equals(Scope.GROUP) || extents.get(tensor(from, j)).present;
            members.get(index(over, from, j)).add(counts ? j : -1);
        }
        return members;
    }

    /// The index in `coarse` that holds index `i` of `fine`.
    private int index(Scope coarse, Scope fine, int i) {
        if (coarse.equals(fine)) {
            return i;
        }
        if (coarse.equals(Scope.SESSION)) {
            return 0;
        }
        int tensor = tensor(fine, i);
        int within = i - starts(fine)[tensor];
        int columns = extents.get(tensor).columns();
        return switch (coarse.kind()) {
            case GROUP -> extents.get(tensor).group;
            case TENSOR -> tensor;
            case ROW -> starts(coarse)[tensor] + within / columns;
            case COLUMN -> {
                int slab = within / (extents.get(tensor).rows * columns);
                yield starts(coarse)[tensor] + slab * columns + within % columns;
            }
            case BLOCK -> starts(coarse)[tensor] + within / coarse.size();
            case SESSION, ELEMENT -> throw new IllegalStateException(fine + " within " + coarse);
        };
    }

    private int tensor(Scope scope, int i) {
        var starts = starts(scope);
        int tensor = 0;
        while (tensor + 1 < starts.length && starts[tensor + 1] <= i) {
            tensor++;
        }
        return tensor;
    }

    private int[] starts(Scope scope) {
        return starts.computeIfAbsent(scope, s -> {
            var first = new int[extents.size()];
            for (int tensor = 1; tensor < first.length; tensor++) {
                first[tensor] = first[tensor - 1] + extents.get(tensor - 1).size(s);
            }
            return first;
        });
    }

    private long extent(Scope scope, int i) {
        double count = switch (scope.kind()) {
            case SESSION -> extents.stream().filter(Extent::present).mapToLong(Extent::elements).sum();
            case GROUP ->
                extents.stream().filter(e -> e.present && e.group == i).mapToLong(Extent::elements).sum();
            case TENSOR -> extents.get(i).elements;
            case ROW -> extents.get(tensor(scope, i)).columns();
            case COLUMN -> extents.get(tensor(scope, i)).rows;
            case BLOCK -> {
                int tensor = tensor(scope, i);
                int start = (i - starts(scope)[tensor]) * scope.size();
                yield Math.min(scope.size(), extents.get(tensor).elements - start);
            }
            case ELEMENT -> 1;
        };
        return Scalar.of(Type.F64, count);
    }
}
