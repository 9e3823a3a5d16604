package dev.stepd.compiler;

import dev.stepd.expr.BinaryOp;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.CompareOp;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Program;
import dev.stepd.expr.ReduceOp;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Table;
import dev.stepd.expr.Type;
import dev.stepd.expr.UnaryOp;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.random.RandomGenerator;

/// Draws well-typed programs: every operation, every scope, shared nodes, slots that read each other.
final class Programs {
    static final List<String> HYPERS = List.of("lr", "beta", "wd");

    private static final double[] CONSTANTS = {0, -0.0, 1, -1, 0.5, 2, 0.1, -3, 1e-8, 1e6, 0.999, 7};
    private static final List<UnaryOp> PLAIN = List.of(UnaryOp.NEG, UnaryOp.ABS, UnaryOp.SQRT);
    private static final List<UnaryOp> EXPANDED = List.of(UnaryOp.SIGN, UnaryOp.EXP, UnaryOp.LOG, UnaryOp.TANH);
    private static final List<BinaryOp> INTEGER = List.of(
            BinaryOp.ADD, BinaryOp.SUB, BinaryOp.MUL, BinaryOp.AND, BinaryOp.OR, BinaryOp.XOR);
    private static final int[] WHOLE = {0, 1, -1, 255, 0xffff, 0x7fffffff, 0x80000000, 23, 0x3f800000};
    private static final List<Table> TABLES = List.of(
            table(1), table(2), table(8), table(16), table(32), table(128), table(256), table(512), table(2048),
            Table.of("reals", 0, -1, 0.5f, Float.NaN, 1e30f, -0f, 3));
    private static final List<BinaryOp> BINARY = List.of(
            BinaryOp.ADD, BinaryOp.SUB, BinaryOp.MUL, BinaryOp.DIV, BinaryOp.ADD, BinaryOp.MUL, BinaryOp.MIN,
            BinaryOp.MAX);

    private record Place(Scope scope, Type type) {}

    private final RandomGenerator random;
    private final Type element;
    private final List<Scope> scopes;
    private final List<Buffer> buffers = new ArrayList<>();
    private final Map<Place, List<Expr>> pool = new LinkedHashMap<>();
    /// How many functions the program may still use: each is dozens of operations.
    private int functions;

    /// @param element what elements are computed and stored in
    /// @param blocks sizes of the blocks that slots and reductions use
    Programs(RandomGenerator random, Type element, int... blocks) {
        this.random = random;
        this.element = element;
        this.scopes = new ArrayList<>(
                List.of(Scope.SESSION, Scope.GROUP, Scope.TENSOR, Scope.ROW, Scope.COLUMN, Scope.ELEMENT));
        java.util.Arrays.stream(blocks).distinct().mapToObj(Scope::block).forEach(scopes::add);
        buffers.add(new Buffer(Buffer.Kind.GRAD, "grad", Scope.ELEMENT, element));
        buffers.add(new Buffer(Buffer.Kind.DELTA, "delta", Scope.ELEMENT, element));
        buffers.add(new Buffer(Buffer.Kind.PARAM, "param", Scope.ELEMENT, element));
        buffers.add(new Buffer(Buffer.Kind.INPUT, "hessian", Scope.ELEMENT, element));
        for (var scope : scopes) {
            for (var name : List.of("a", "b")) {
                buffers.add(new Buffer(Buffer.Kind.SLOT, name + "_" + scope, scope, storage(scope)));
            }
        }
        for (var type : List.of(Type.I4, Type.I8, Type.I16, Type.I32)) {
            buffers.add(new Buffer(Buffer.Kind.SLOT, type + "_element", Scope.ELEMENT, type));
        }
        var coarse = scopes.get(random.nextInt(scopes.size()));
        buffers.add(new Buffer(Buffer.Kind.SLOT, "codes_" + coarse, coarse, random.nextBoolean() ? Type.I8 : Type.I16));
    }

    /// Whole numbers of every size, and patterns of reals.
    private static Table table(int size) {
        var random = new java.util.Random(size);
        return Table.of("numbers" + size, random.ints(size).toArray());
    }

    private Type storage(Scope scope) {
        return scope.isElement() ? element : Scope.TENSOR.coarserThan(scope) ? Type.F32 : Type.F64;
    }

    /// The arrays that programs use.
    List<Buffer> buffers() {
        return buffers;
    }

    /// @param depth of the expressions, about
    /// @param functions that it may call, about: exp, log, tanh, pow, sign
    Program next(int depth, int functions) {
        this.functions = functions;
        pool.clear();
        var targets = new ArrayList<>(buffers.stream().filter(Programs::writable).toList());
        Collections.shuffle(targets, java.util.Random.from(random));
        var assignments = new ArrayList<Program.Assignment>();
        for (var target : targets.subList(0, 2 + random.nextInt(5))) {
            var type = target.scope().isElement() ? element : Type.F64;
            var value = target.storage().loaded() == Type.I32
                    ? integer(target.scope(), depth)
                    : real(target.scope(), type, depth).as(target.storage());
            assignments.add(new Program.Assignment(target, value));
        }
        return new Program(assignments);
    }

    /// The same into arrays that no program reads: however often it runs, it gives the same.
    Program nextRepeatable(int depth, int functions) {
        var assignments = new ArrayList<Program.Assignment>();
        for (var assignment : next(depth, functions).assignments()) {
            var target = assignment.target();
            var result = new Buffer(
                    Buffer.Kind.SLOT, "result" + assignments.size(), target.scope(), target.storage());
            assignments.add(new Program.Assignment(result, assignment.value()));
        }
        return new Program(assignments);
    }

    private static boolean writable(Buffer buffer) {
        return buffer.kind() != Buffer.Kind.GRAD && buffer.kind() != Buffer.Kind.INPUT;
    }

    private <T> T pick(List<T> from) {
        return from.get(random.nextInt(from.size()));
    }

    /// A value that is constant within each index of `scope`.
    private Expr real(Scope scope, Type type, int depth) {
        var known = pool.computeIfAbsent(new Place(scope, type), _ -> new ArrayList<>());
        if (!known.isEmpty() && random.nextInt(5) == 0) {
            return pick(known);
        }
        var made = depth <= 0 ? leaf(scope, type) : operation(scope, type, depth - 1);
        known.add(made);
        return made;
    }

    private Expr leaf(Scope scope, Type type) {
        return switch (random.nextInt(8)) {
            case 0 -> Expr.constant(type, CONSTANTS[random.nextInt(CONSTANTS.length)]);
            case 1 -> known(scope).as(type);
            default -> read(scope).as(type);
        };
    }

    /// What the host or the shape knows.
    private Expr known(Scope scope) {
        boolean ofTensor = scope.equals(Scope.TENSOR) || Scope.TENSOR.coarserThan(scope);
        var counted = ofTensor && random.nextInt(4) != 0 ? Scope.TENSOR : Scope.SESSION;
        return switch (random.nextInt(3)) {
            case 0 -> new Expr.Read(new Buffer(Buffer.Kind.EXTENT, "", scope, Type.F64));
            case 1 -> new Expr.Counter(counted);
            default -> new Expr.Hyper(pick(HYPERS), counted);
        };
    }

    private Expr read(Scope scope) {
        var readable = buffers.stream()
                .filter(b -> b.scope().equals(scope) && b.kind() != Buffer.Kind.DELTA && b.storage().isReal())
                .toList();
        return new Expr.Read(pick(readable));
    }

    private Expr operation(Scope scope, Type type, int depth) {
        return switch (random.nextInt(18)) {
            case 16 -> integer(scope, depth).as(type);
            case 17 -> new Expr.Bits(integer(scope, depth)).as(type);
            case 0, 1 -> new Expr.Unary(pick(PLAIN), real(scope, type, depth));
            case 2, 3 -> function(scope, type, depth);
            case 4, 5, 6 -> new Expr.Binary(pick(BINARY), real(scope, type, depth), real(scope, type, depth));
            case 7 -> new Expr.Fma(real(scope, type, depth), real(scope, type, depth), real(scope, type, depth));
            case 8 -> new Expr.Select(
                    condition(scope, depth), real(scope, type, depth), real(scope, type, depth));
            case 9 -> real(scope, type == Type.F32 ? Type.F64 : Type.F32, depth).as(type);
            case 10, 11, 12 -> reduction(scope, depth).as(type);
            default -> coarser(scope, type, depth);
        };
    }

    /// A whole number that is constant within each index of `scope`.
    private Expr integer(Scope scope, int depth) {
        if (depth <= 0) {
            return wholeLeaf(scope);
        }
        return switch (random.nextInt(9)) {
            case 0 -> wholeLeaf(scope);
            case 1 -> new Expr.Binary(
                    random.nextBoolean() ? BinaryOp.SHL : BinaryOp.SHR,
                    integer(scope, depth - 1),
                    Expr.integer(random.nextInt(32)));
            case 2 -> new Expr.Select(
                    condition(scope, depth - 1), integer(scope, depth - 1), integer(scope, depth - 1));
            case 3 -> real(scope, random.nextBoolean() ? Type.F32 : Type.F64, depth - 1).as(Type.I32);
            case 4 -> pattern(real(scope, Type.F32, depth - 1));
            case 5 -> looked(scope, depth);
            default -> new Expr.Binary(pick(INTEGER), integer(scope, depth - 1), integer(scope, depth - 1));
        };
    }

    private Expr looked(Scope scope, int depth) {
        var found = new Expr.Lookup(pick(TABLES), integer(scope, depth - 1));
        return found.type() == Type.I32 ? found : pattern(found);
    }

    /// The bits of a value that are the same on every machine: of NaN there are many.
    private static Expr pattern(Expr real) {
        var zero = Expr.constant(Type.F32, 0);
        return new Expr.Bits(Expr.select(Expr.compare(CompareOp.EQ, real, real), real, zero));
    }

    private Expr wholeLeaf(Scope scope) {
        var readable = buffers.stream()
                .filter(b -> b.scope().equals(scope) && b.storage().loaded() == Type.I32)
                .toList();
        return switch (random.nextInt(4)) {
            case 0 -> Expr.integer(WHOLE[random.nextInt(WHOLE.length)]);
            case 1 -> scope.isElement()
                    ? random.nextBoolean() ? new Expr.Index() : new Expr.Draw(pick(HYPERS))
                    : real(scope, Type.F64, 0).as(Type.I32);
            default -> readable.isEmpty() ? real(scope, Type.F64, 0).as(Type.I32) : new Expr.Read(pick(readable));
        };
    }

    private Expr function(Scope scope, Type type, int depth) {
        if (functions-- <= 0) {
            return new Expr.Binary(BinaryOp.ADD, real(scope, type, depth), real(scope, type, depth));
        }
        return random.nextInt(5) == 0
                ? new Expr.Binary(BinaryOp.POW, real(scope, type, depth), real(scope, type, depth))
                : new Expr.Unary(pick(EXPANDED), real(scope, type, depth));
    }

    private Expr condition(Scope scope, int depth) {
        if (random.nextInt(4) == 0) {
            return new Expr.Binary(
                    random.nextBoolean() ? BinaryOp.AND : BinaryOp.OR,
                    condition(scope, depth - 1),
                    condition(scope, depth - 1));
        }
        var at = random.nextInt(3) == 0 ? pick(containing(scope)) : scope;
        if (random.nextInt(4) == 0) {
            return new Expr.Compare(
                    pick(List.of(CompareOp.values())), integer(at, depth - 1), integer(at, depth - 1));
        }
        var type = random.nextBoolean() ? Type.F32 : Type.F64;
        return new Expr.Compare(pick(List.of(CompareOp.values())), real(at, type, depth), real(at, type, depth));
    }

    private Expr coarser(Scope scope, Type type, int depth) {
        var fine = real(scope, type, depth);
        var coarse = real(pick(containing(scope)), Type.F64, depth);
        return coarse.scope().equals(fine.scope()) && fine.type() != coarse.type() && !(coarse instanceof Expr.Const)
                ? fine
                : Expr.binary(pick(BINARY), coarse, fine).as(type);
    }

    /// A reduction to `scope`, where anything is finer.
    private Expr reduction(Scope scope, int depth) {
        var finer = scopes.stream().filter(scope::coarserThan).toList();
        if (finer.isEmpty()) {
            return real(scope, Type.F64, depth);
        }
        if (scope.equals(Scope.TENSOR) && random.nextInt(4) == 0) {
            var value = real(Scope.TENSOR, Type.F64, depth);
            return new Expr.RunningSum(new Expr.Binary(BinaryOp.ADD, value, read(Scope.TENSOR).as(Type.F64)));
        }
        var from = pick(finer);
        if (random.nextInt(4) == 0) {
            var value = real(from, Type.F32, depth);
            return scope.coarserThan(value.scope())
                    ? new Expr.Reduce(ReduceOp.MAX, scope, value)
                    : new Expr.Reduce(ReduceOp.MAX, scope, read(from).as(Type.F32));
        }
        var value = real(from, Type.F64, depth);
        if (!scope.coarserThan(value.scope())) {
            value = new Expr.Binary(BinaryOp.MUL, value, read(from).as(Type.F64));
        }
        return new Expr.Reduce(pick(List.of(ReduceOp.values())), scope, value);
    }

    /// The scope itself and those that contain it.
    private List<Scope> containing(Scope scope) {
        return scopes.stream().filter(s -> s.equals(scope) || s.coarserThan(scope)).toList();
    }
}
