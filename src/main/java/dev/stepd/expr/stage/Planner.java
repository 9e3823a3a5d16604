package dev.stepd.expr.stage;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.CompareOp;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Legality;
import dev.stepd.expr.Program;
import dev.stepd.expr.ReduceOp;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;

/// Splits a program into the passes of a [Plan].
///
/// A value that is coarser than the pass that uses it, and a reduction, becomes an array of its own, computed by an
/// earlier pass over its own scope; element values that two passes over all memory need are computed twice rather than
/// stored, and [Phases] finds the passes that can run tile after tile. Passes at the same depth over the same scope are
/// one. The program's own arrays are written last, finest scope first: what a coarser value still reads of them is coarser
/// too, and so not yet overwritten.
///
/// Where values that share bytes meet those of rows or of blocks of odd size, a run would begin within a byte. Then they are
/// taken apart by a pass of its own before anything else, and put together by one at the end.
public final class Planner {
    /// Passes that can be fused: same depth, same scope, same kind of output, same target of folding, and not one that takes
    /// bytes apart with one whose runs might begin within a byte.
    private record Slot(int depth, Scope scope, Object kind, Scope over, boolean unpacks) {}

    /// Values of tensors that a reduction takes from an array.
    private record Folded(Buffer stored, ReduceOp op) {}

    private final List<Plan.HostValue> hosts = new ArrayList<>();
    private final Map<Expr, Buffer> hostBuffers = new IdentityHashMap<>();
    private final Map<Expr, Buffer> temps = new IdentityHashMap<>();
    /// By the scope of the pass: values as it computes them, each once however many outputs need it.
    private final Map<Scope, Map<Expr, Expr>> lowered = new HashMap<>();
    private final Map<Expr, Expr> flags = new IdentityHashMap<>();
    private final Map<Folded, Buffer> folded = new HashMap<>();
    private final Map<Buffer, Integer> depths = new LinkedHashMap<>();
    private final Map<Slot, List<Stage.Output>> passes = new LinkedHashMap<>();

    /// Whether values that share bytes are taken apart and put together by passes of their own.
    private final boolean unpacks;

    /// Of the names of arrays between passes.
    private final String prefix;

    private Planner(boolean unpacks, String prefix) {
        this.unpacks = unpacks;
        this.prefix = prefix;
    }

    /// @param program expanded, with every choice of the host decided or turned into a value
    public static Plan plan(Program program) {
        Legality.EXPANDED.check(program);
        var plan = new Planner(false, "").build(program);
        if (!plan.passes().allMatch(Stage::runsOfBytes)) {
            plan = new Planner(true, "").build(program);
            if (!plan.passes().allMatch(Stage::runsOfBytes)) {
                throw new IllegalStateException("runs begin within bytes: " + plan);
            }
        }
        return plan;
    }

    /// A plan followed by a program over what it leaves, the first pass of which runs with the plan's last one where it can,
    /// while what it reads is in the cache.
    ///
    /// @param sums what follows, by way of sums over the rows or blocks it is given: expanded, and knowing nothing of the host
    public static Plan plan(Program program, Function<Scope, Program> sums) {
        var plan = plan(program);
        var left = new Leftovers(plan);
        var after = sums.apply(left.over());
        Legality.EXPANDED.check(after);
        return left.with(new Planner(false, "after").stages(after));
    }

    private Plan build(Program program) {
        var stages = stages(program);
        var number = new AtomicInteger(depths.size());
        return new Plan(hosts, Phases.of(stages, () -> Integer.toString(number.getAndIncrement())));
    }

    private List<Stage> stages(Program program) {
        var writes = new LinkedHashMap<Scope, List<Stage.Output>>();
        var packs = new ArrayList<Stage.Output>();
        var finestFirst = program.assignments().stream()
                .sorted(Comparator.comparing((Program.Assignment a) -> a.target().scope().kind()).reversed())
                .toList();
        for (var assignment : finestFirst) {
            var scope = assignment.target().scope();
            var value = inPass(assignment.value(), scope);
            if (isPacked(assignment.target())) {
                packs.add(new Stage.Write(assignment.target(), apart(assignment.value(), value)));
                continue;
            }
            writes.computeIfAbsent(scope, _ -> new ArrayList<>()).add(new Stage.Write(assignment.target(), value));
        }
        var stages = new ArrayList<Stage>();
        passes.entrySet().stream()
                .sorted(Comparator.comparingInt(entry -> entry.getKey().depth))
                .forEach(entry -> stages.add(new Stage(entry.getKey().scope, entry.getValue())));
        writes.forEach((scope, outputs) -> stages.add(new Stage(scope, outputs)));
        if (!packs.isEmpty()) {
            stages.add(new Stage(Scope.ELEMENT, packs));
        }
        stages.forEach(stage -> stage.nodes().forEach(Planner::checkKernel));
        return stages;
    }

    private static void checkKernel(Expr node) {
        if (node instanceof Expr.Hyper || node instanceof Expr.Counter || node instanceof Expr.Reduce
                || node instanceof Expr.RunningSum || node instanceof Expr.Draw) {
            throw new IllegalStateException("left in a pass: " + node);
        }
    }

    /// The value as a pass over `scope` computes it.
    private Expr inPass(Expr node, Scope scope) {
        var done = lowered.computeIfAbsent(scope, _ -> new IdentityHashMap<>());
        var known = done.get(node);
        if (known == null) {
            known = lower(node, scope);
            done.put(node, known);
        }
        return known;
    }

    private boolean isPacked(Buffer buffer) {
        return unpacks && buffer.storage() == Type.I4;
    }

    /// The value as an array of its own, a byte for each.
    private Expr apart(Expr node, Expr value) {
        var known = temps.get(node);
        if (known == null) {
            known = define(node, Scope.ELEMENT, value, new Buffer(Buffer.Kind.TEMP, name(), Scope.ELEMENT, Type.I8));
        }
        return new Expr.Read(known);
    }

    private Expr lower(Expr node, Scope scope) {
        if (node instanceof Expr.Read(Buffer buffer) && isPacked(buffer)) {
            return apart(node, node);
        }
        if (node.operands().isEmpty() && !node.host() || node instanceof Expr.Const) {
            return node;
        }
        if (node.type() == Type.BOOL && (node.host() || node.scope().coarserThan(scope))) {
            return flag(node, scope);
        }
        if (node.host()) {
            return new Expr.Read(host(node));
        }
        if (node instanceof Expr.Reduce || node instanceof Expr.RunningSum) {
            return new Expr.Read(temp(node));
        }
        if (node instanceof Expr.Convert(Type type, Expr x)) {
            return inPass(x, scope).as(type);
        }
        if (node.scope().coarserThan(scope)) {
            return new Expr.Read(temp(node));
        }
        return node.with(node.operands().stream().map(operand -> inPass(operand, scope)).toList());
    }

    /// A condition decided elsewhere: booleans are not stored, so it arrives as 0 or 1. It is compared in f32, which
    /// leaves it to the values whether the pass has 64-bit vectors.
    private Expr flag(Expr condition, Scope scope) {
        var one = Expr.constant(1);
        var number = flags.computeIfAbsent(condition, c -> new Expr.Select(c, one, Expr.constant(0)));
        return Expr.compare(CompareOp.EQ, inPass(number, scope).as(Type.F32), one);
    }

    private Buffer host(Expr node) {
        return hostBuffers.computeIfAbsent(node, n -> {
            var scope = n.scope().equals(Scope.SESSION) ? Scope.SESSION : Scope.TENSOR;
            var buffer = new Buffer(Buffer.Kind.HOST, "h" + hosts.size(), scope, Type.F64);
            hosts.add(new Plan.HostValue(buffer, n));
            return buffer;
        });
    }

    private Buffer map(Expr node) {
        var value = inPass(node, node.scope());
        return define(node, node.scope(), value, new Buffer(Buffer.Kind.TEMP, name(), node.scope(), node.type()));
    }

    private Buffer fold(Expr.Reduce reduce) {
        var from = reduce.x().scope();
        if (reduce.over().coarserThan(Scope.TENSOR) && Scope.TENSOR.coarserThan(from)) {
            // By way of the tensors: no tensor's chunks straddle another's.
            var byTensor = new Expr.Reduce(reduce.op(), Scope.TENSOR, reduce.x());
            var buffer = fold(new Expr.Reduce(reduce.op(), reduce.over(), byTensor));
            temps.put(reduce, buffer);
            return buffer;
        }
        var value = from.equals(Scope.TENSOR) ? ofTensors(reduce) : inPass(reduce.x(), from);
        if (!new Stage(from, List.of(fold(reduce, "", value))).foldsWholeRuns()) {
            value = stored(reduce.x());
        }
        var output = fold(reduce, name(), value);
        return define(reduce, from, value, output.target());
    }

    /// Values of tensors are stored before they are folded, so that an absent tensor's place can hold the identity: in an
    /// array for each operation, since identities differ.
    private Expr ofTensors(Expr.Reduce reduce) {
        var stored = temp(reduce.x());
        boolean first = folded.keySet().stream().noneMatch(f -> f.stored.equals(stored));
        return new Expr.Read(folded.computeIfAbsent(new Folded(stored, reduce.op()), f -> first ? stored : copy(stored)));
    }

    private Buffer copy(Buffer stored) {
        var read = new Expr.Read(stored);
        return define(read, stored.scope(), read, new Buffer(Buffer.Kind.TEMP, name(), stored.scope(), stored.storage()));
    }

    private static Stage.Fold fold(Expr.Reduce reduce, String name, Expr value) {
        return new Stage.Fold(
                reduce.op(), new Buffer(Buffer.Kind.TEMP, name, reduce.over(), reduce.type()), value);
    }

    /// Element values as an array, in f32 if that is what they are: what they are made of changes within the runs of a
    /// fold, such as rows' values in a fold over tensors.
    private Expr stored(Expr node) {
        return node instanceof Expr.Convert(Type type, Expr x)
                ? new Expr.Read(temp(x)).as(type)
                : new Expr.Read(temp(node));
    }

    private Buffer temp(Expr node) {
        var known = temps.get(node);
        if (known != null) {
            return known;
        }
        return node instanceof Expr.Reduce reduce ? fold(reduce)
                : node instanceof Expr.RunningSum running ? scan(running)
                : map(node);
    }

    private Buffer scan(Expr.RunningSum running) {
        var value = new Expr.Read(temp(running.x()));
        return define(running, Scope.TENSOR, value, new Buffer(Buffer.Kind.TEMP, name(), Scope.TENSOR, Type.F64));
    }

    private String name() {
        return prefix + depths.size();
    }

    private Buffer define(Expr node, Scope scope, Expr value, Buffer target) {
        int depth = 0;
        for (var below : Program.nodes(List.of(value))) {
            if (below instanceof Expr.Read(Buffer buffer) && buffer.kind() == Buffer.Kind.TEMP) {
                depth = Math.max(depth, depths.get(buffer) + 1);
            }
        }
        temps.put(node, target);
        depths.put(target, depth);
        var output = output(node, target, value);
        Object kind = output instanceof Stage.Scan ? target : output.getClass(); // each scan is a pass of its own
        boolean takesApart = value instanceof Expr.Read(Buffer buffer) && isPacked(buffer);
        passes.computeIfAbsent(new Slot(depth, scope, kind, target.scope(), takesApart), _ -> new ArrayList<>())
                .add(output);
        return target;
    }

    private static Stage.Output output(Expr node, Buffer target, Expr value) {
        return node instanceof Expr.Reduce reduce ? new Stage.Fold(reduce.op(), target, value)
                : node instanceof Expr.RunningSum ? new Stage.Scan(target, value)
                : new Stage.Write(target, value);
    }
}
