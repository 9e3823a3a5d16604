package dev.stepd.codegen.cpu;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Order;
import dev.stepd.expr.ReduceOp;
import dev.stepd.expr.Scalar;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Table;
import dev.stepd.expr.Type;
import dev.stepd.expr.UnaryOp;
import dev.stepd.expr.stage.Stage;
import java.lang.classfile.Attributes;
import java.lang.classfile.ClassFile;
import java.lang.classfile.CodeBuilder;
import java.lang.classfile.Label;
import java.lang.classfile.TypeKind;
import java.lang.classfile.attribute.CodeAttribute;
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDescs;
import java.lang.constant.MethodTypeDesc;
import java.lang.reflect.AccessFlag;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// The class file of one kernel. Its `run` reads:
///
/// - prologue: addresses into locals, uniform values broadcast to vectors, accumulators of folds to their identity; but for the
///   addresses and what no run changes again for each run;
/// - main loop: [Order#LANES] indexes a turn, as as many vectors as that takes;
/// - tail of folds: the same once more for what is left, loads reading on and accumulators keeping the lanes past the end;
/// - epilogue of folds: accumulators joined, halves first, and stored.
///
/// There are no masked stores: in some kernels they made objects of the vectors. Whoever runs a kernel that writes gives it
/// whole turns.
///
/// All vectors of a kernel have the same number of lanes, so that conversions keep lanes in place: a kernel with 64-bit
/// values anywhere uses narrower 32-bit vectors.
///
/// A turn is written out vector by vector, unless that makes more code than HotSpot compiles: then there is one vector in each
/// loop, and a fold goes over its indexes once for each vector of a turn, its accumulators put down in between.
final class KernelClass {
    private static final ClassDesc NAME = ClassDesc.of("dev.stepd.codegen.cpu.GeneratedKernel");
    private static final ClassDesc KERNEL = ClassDesc.of("dev.stepd.codegen.cpu.Kernel");
    private static final ClassDesc LONGS = ConstantDescs.CD_long.arrayType();
    private static final MethodTypeDesc RUN = MethodTypeDesc.of(
            ConstantDescs.CD_void, LONGS, ConstantDescs.CD_long, LONGS, ConstantDescs.CD_long);
    /// Longer methods are left to the JVM's interpreter for ever.
    private static final int COMPILED_CODE_BYTES = 8000;

    /// More than any address or index has: with what it is known to be below, the compiler sees that no access is out of bounds,
    /// where it would check each, in loops too short or too full for it to move the checks out of.
    private static final long ADDRESS_BITS = (1L << 56) - 1;
    private static final long INDEX_BITS = (1L << 48) - 1;

    private static final int ADDRESSES = 1;
    private static final int COUNT = 2;
    private static final int STEPS = 4;
    private static final int RUNS = 5;
    private static final int FIRST_LOCAL = 7;

    private final Stage stage;
    private final List<Buffer> reads;
    private final List<Expr> nodes;
    private final int lanes;
    private final int parts;
    private final boolean columnFold;
    private final boolean manyRuns;
    /// Outputs that are folds: the first ones.
    private final int folds;
    private final List<Table> tables;

    KernelClass(Stage stage, int vectorBits) {
        this.stage = stage;
        this.reads = stage.reads();
        this.nodes = stage.nodes();
        this.tables = nodes.stream()
                .filter(Expr.Lookup.class::isInstance)
                .map(node -> ((Expr.Lookup) node).table())
                .distinct()
                .toList();
        boolean wide = nodes.stream().anyMatch(this::isWideVector);
        this.lanes = vectorBits / (wide ? 64 : 32);
        this.parts = Order.LANES / lanes;
        this.columnFold = stage.folds() && stage.over().equals(Scope.COLUMN);
        this.folds = (int) stage.outputs().stream().filter(Stage.Fold.class::isInstance).count();
        this.manyRuns = stage.scope().isElement() && ofRuns(stage.runs());
    }

    /// What a fold is carried out in. The largest of magnitudes is that of their bits as whole numbers, which takes one
    /// instruction where comparing, with regard to NaN, takes five: NaN is above infinity, and there is no -0.
    private static Type carrier(Stage.Fold fold) {
        boolean magnitudes = fold.op() == ReduceOp.MAX && fold.value() instanceof Expr.Unary(UnaryOp op, _) && op == UnaryOp.ABS;
        return magnitudes ? fold.value().type().twin() : fold.value().type();
    }

    private static boolean ofRuns(Scope scope) {
        return scope.kind() == Scope.Kind.ROW || scope.kind() == Scope.Kind.BLOCK;
    }

    /// Whether an array has one value for many indexes.
    private boolean isSingle(Buffer buffer) {
        return stage.uniform(buffer) || stage.follows(buffer);
    }

    /// A uniform f64 that is only converted needs no f64 vector: it is converted as a scalar.
    private boolean isWideVector(Expr node) {
        if (node.type().bits() != 64) {
            return false;
        }
        boolean scalar = node instanceof Expr.Read(Buffer buffer) && isSingle(buffer);
        return !scalar || usedAsVector(node);
    }

    private boolean usedAsVector(Expr node) {
        return stage.outputs().stream().anyMatch(o -> o.value() == node)
                || nodes.stream().anyMatch(user -> !(user instanceof Expr.Convert)
                        && user.operands().stream().anyMatch(operand -> operand == node));
    }

    /// What the class finds its tables in.
    List<int[]> data() {
        return tables.stream().map(TableCode::data).toList();
    }

    private static int shift(Type type) {
        return Integer.numberOfTrailingZeros(type.bytes());
    }

    byte[] bytes() {
        var unrolled = bytes(parts);
        return codeBytes(unrolled) <= COMPILED_CODE_BYTES ? unrolled : bytes(1);
    }

    private static int codeBytes(byte[] type) {
        return ClassFile.of().parse(type).methods().stream()
                .flatMap(method -> method.findAttribute(Attributes.code()).stream())
                .mapToInt(CodeAttribute::codeLength)
                .max()
                .orElseThrow();
    }

    private byte[] bytes(int turn) {
        return ClassFile.of().build(NAME, type -> type.withFlags(AccessFlag.FINAL, AccessFlag.SYNTHETIC)
                .withInterfaceSymbols(KERNEL)
                .withMethodBody(ConstantDescs.INIT_NAME, ConstantDescs.MTD_void, ClassFile.ACC_PUBLIC, code -> code.aload(0)
                        .invokespecial(ConstantDescs.CD_Object, ConstantDescs.INIT_NAME, ConstantDescs.MTD_void)
                        .return_())
                .withMethodBody("run", RUN, ClassFile.ACC_PUBLIC, code -> run(code, turn)));
    }

    private void run(CodeBuilder code, int turn) {
        if (stage.scans()) {
            RunningSumCode.emit(code);
        } else {
            new Body(code, turn).emit();
        }
    }

    /// Emits `run`; holds which local has what.
    private final class Body {
        private final CodeBuilder code;
        private final VectorCode vectors;
        private final TableCode lookups;
        /// Vectors written out one after the other.
        private final int turn;
        private final Map<Buffer, Integer> inputs = new HashMap<>();
        private final List<Integer> outputs = new ArrayList<>();
        private final Map<Expr, Integer> uniforms = new IdentityHashMap<>();
        /// What is the same throughout a block, at the block a turn is in.
        private final Map<Expr, Integer> followed = new IdentityHashMap<>();
        private final List<int[]> accumulators = new ArrayList<>();
        private int index;
        private int bounded;
        private int origin;
        private int laneNumbers;
        private int nextLocal = FIRST_LOCAL;

        Body(CodeBuilder code, int turn) {
            this.code = code;
            this.turn = turn;
            this.vectors = new VectorCode(code, lanes);
            this.lookups = new TableCode(code, vectors, lanes, tables, () -> local(TypeKind.REFERENCE));
        }

        void emit() {
            addresses();
            uniforms(false);
            lookups.prologue();
            if (stage.readsIndex()) {
                origin = address(reads.size() + stage.outputs().size() + 1);
                laneNumbers = local(TypeKind.REFERENCE);
                vectors.laneNumbers();
                code.astore(laneNumbers);
            }
            index = local(TypeKind.LONG);
            bounded = local(TypeKind.LONG);
            var head = code.newBoundLabel();
            uniforms(true);
            run();
            if (manyRuns) {
                nextRun(head);
            }
            code.return_();
        }

        private void run() {
            if (!stage.folds() || columnFold) {
                code.lconst_0().lstore(index);
                loop(turn * lanes);
            } else if (turn == parts) {
                foldAtOnce();
                epilogue();
            } else {
                foldOneByOne();
                epilogue();
            }
        }

        /// `if (--runs > 0)` with all addresses moved on.
        private void nextRun(Label head) {
            var end = code.newLabel();
            code.lload(RUNS).lconst_1().lsub().dup2().lstore(RUNS).lconst_0().lcmp().ifle(end);
            int position = 0;
            for (var buffer : reads) {
                step(inputs.get(buffer), position++);
            }
            for (int output : outputs) {
                step(output, position++);
            }
            if (stage.readsIndex()) {
                step(origin, position + 1);
            }
            code.goto_(head).labelBinding(end);
        }

        private void step(int address, int position) {
            code.lload(address).aload(STEPS).loadConstant(position).laload().ladd()
                    .loadConstant(ADDRESS_BITS).land().lstore(address);
        }

        /// A fresh local; those of a part are free again after it.
        private int local(TypeKind kind) {
            int local = nextLocal;
            nextLocal += kind.slotSize();
            return local;
        }

        private void addresses() {
            int position = 0;
            for (var buffer : reads) {
                inputs.put(buffer, address(position++));
            }
            for (var _ : stage.outputs()) {
                outputs.add(address(position++));
            }
        }

        private int address(int position) {
            int local = local(TypeKind.LONG);
            code.aload(ADDRESSES).loadConstant(position).laload().loadConstant(ADDRESS_BITS).land().lstore(local);
            return local;
        }

        /// @param ofRuns whether those that change from run to run, or the others
        private void uniforms(boolean ofRuns) {
            for (var node : nodes) {
                if (node instanceof Expr.Const constant && constant.type() != Type.BOOL && !ofRuns) {
                    vectors.broadcast(constant);
                    keep(node, uniforms);
                }
                var single = single(node);
                if (single.isPresent() && stage.uniform(single.get()) && ofRuns == ofRuns(single.get().scope())) {
                    vectors.broadcast(node.type(), single.get().storage(), () -> code.lload(inputs.get(single.get())));
                    keep(node, uniforms);
                }
            }
        }

        /// The array with one value for many indexes that a node is nothing but the value of, as a vector.
        private Optional<Buffer> single(Expr node) {
            var single = switch (node) {
                case Expr.Read(Buffer buffer) when buffer.storage() != Type.F64 || usedAsVector(node) ->
                    Optional.of(buffer);
                case Expr.Convert(_, Expr.Read(Buffer buffer)) -> Optional.of(buffer);
                case Expr _ -> Optional.<Buffer>empty();
            };
            return single.filter(KernelClass.this::isSingle);
        }

        /// Values of the blocks that the turn at `index` is in.
        private void follow() {
            for (var node : nodes) {
                var single = single(node);
                if (single.isPresent() && stage.follows(single.get())) {
                    vectors.broadcast(node.type(), single.get().storage(), () -> block(single.get()));
                    keep(node, followed);
                }
            }
        }

        /// Pushes the address of the value of the block at `index`.
        private void block(Buffer buffer) {
            int size = Integer.numberOfTrailingZeros(buffer.scope().size());
            code.lload(inputs.get(buffer)).lload(bounded).loadConstant(size).lushr()
                    .loadConstant(shift(buffer.storage())).lshl().ladd();
        }

        private void keep(Expr node, Map<Expr, Integer> among) {
            code.astore(among.computeIfAbsent(node, _ -> local(TypeKind.REFERENCE)));
        }

        private void foldAtOnce() {
            for (int part = 0; part < parts; part++) {
                identities(part);
            }
            code.lconst_0().lstore(index);
            loop(Order.LANES);
            tail();
        }

        /// `for (shift = 0; shift < LANES; shift += lanes)` the indexes from `shift` on, every `LANES`-th vector.
        private void foldOneByOne() {
            int shift = local(TypeKind.LONG);
            int room = address(reads.size() + stage.outputs().size());
            var head = code.lconst_0().lstore(shift).newBoundLabel();
            identities(0);
            code.lload(shift).lstore(index);
            loop(Order.LANES);
            tail();
            for (int i = 0; i < accumulators.size(); i++) {
                code.aload(accumulators.get(i)[0]);
                store(room, shift, i);
            }
            code.lload(shift).loadConstant((long) lanes).ladd().dup2().lstore(shift);
            code.loadConstant((long) Order.LANES).lcmp().iflt(head);
            fetch(room);
        }

        private void store(int room, int shift, int output) {
            var type = type(output);
            vectors.store(type, () -> code.lload(room).lload(shift).loadConstant(shift(type)).lshl().ladd()
                    .loadConstant((long) output * Order.LANES * Double.BYTES).ladd());
        }

        private void fetch(int room) {
            for (int i = 0; i < accumulators.size(); i++) {
                for (int part = 0; part < parts; part++) {
                    long offset = (long) i * Order.LANES * Double.BYTES + (long) part * lanes * type(i).bytes();
                    vectors.load(type(i), () -> code.lload(room).loadConstant(offset).ladd());
                    accumulators.get(i)[part] = local(TypeKind.REFERENCE);
                    code.astore(accumulators.get(i)[part]);
                }
            }
        }

        /// Starts the accumulators of a part.
        private void identities(int part) {
            for (int i = 0; i < folds; i++) {
                if (part == 0) {
                    accumulators.add(new int[parts]);
                }
                var identity = ((Stage.Fold) stage.outputs().get(i)).op().identity();
                vectors.broadcast(new Expr.Const(type(i), Scalar.of(stage.outputs().get(i).value().type(), identity)));
                accumulators.get(i)[part] = local(TypeKind.REFERENCE);
                code.astore(accumulators.get(i)[part]);
            }
        }

        private Type type(int output) {
            return carrier((Stage.Fold) stage.outputs().get(output));
        }

        /// `for (; index <= count - turn * lanes; index += step)`
        private void loop(int step) {
            var head = code.newBoundLabel();
            var end = code.newLabel();
            code.lload(index).lload(COUNT).loadConstant((long) turn * lanes).lsub().lcmp().ifgt(end);
            bound();
            follow();
            for (int part = 0; part < turn; part++) {
                part(part, false);
            }
            code.lload(index).loadConstant((long) step).ladd().lstore(index).goto_(head).labelBinding(end);
        }

        private void bound() {
            code.lload(index).loadConstant(INDEX_BITS).land().lstore(bounded);
        }

        /// What is left of the last chunk of a run.
        private void tail() {
            var end = code.newLabel();
            code.lload(index).lload(COUNT).lcmp().ifge(end);
            bound();
            follow();
            for (int part = 0; part < turn; part++) {
                part(part, true);
            }
            code.labelBinding(end);
        }

        /// The values and outputs of the `part`-th vector at `index`.
        private void part(int part, boolean masked) {
            int mark = nextLocal;
            var here = new Part(part, masked);
            nodes.forEach(here::value);
            for (int i = 0; i < stage.outputs().size(); i++) {
                switch (stage.outputs().get(i)) {
                    case Stage.Scan scan -> throw new IllegalStateException("no vectors of a running sum: " + scan);
                    case Stage.Write write -> here.write(write, outputs.get(i));
                    case Stage.Fold fold when columnFold -> here.join(fold, outputs.get(i));
                    case Stage.Fold fold -> here.accumulate(fold, accumulators.get(i)[part]);
                }
            }
            nextLocal = mark;
        }

        private void epilogue() {
            for (int i = 0; i < accumulators.size(); i++) {
                var locals = accumulators.get(i);
                var op = ((Stage.Fold) stage.outputs().get(i)).op();
                for (int half = parts / 2; half > 0; half /= 2) {
                    for (int part = 0; part < half; part++) {
                        vectors.join(op, type(i), locals[part], locals[part + half]);
                        code.astore(locals[part]);
                    }
                }
                vectors.storeJoined(op, type(i), locals[0], outputs.get(i));
            }
        }

        /// One vector's worth of a turn.
        private final class Part {
            private final int part;
            private final boolean masked;
            private final Map<Expr, Integer> locals = new IdentityHashMap<>(uniforms);

            Part(int part, boolean masked) {
                this.part = part;
                this.masked = masked;
                locals.putAll(followed);
            }

            void value(Expr node) {
                if (locals.containsKey(node) || isScalarOnly(node)) {
                    return;
                }
                switch (node) {
                    case Expr.Read(Buffer buffer) ->
                        vectors.load(buffer.storage(), () -> at(inputs.get(buffer), buffer.storage()));
                    case Expr.Index() -> vectors.count(laneNumbers, this::origin);
                    case Expr.Lookup lookup -> lookups.lookup(lookup, locals.get(lookup.index()));
                    case Expr _ -> vectors.operation(node, operand -> code.aload(locals.get(operand)));
                }
                int local = local(TypeKind.REFERENCE);
                code.astore(local);
                locals.put(node, local);
            }

            private boolean isScalarOnly(Expr node) {
                return node instanceof Expr.Read(Buffer buffer) && isSingle(buffer) && !locals.containsKey(node);
            }

            void write(Stage.Write write, int address) {
                var type = write.target().storage();
                code.aload(locals.get(write.value()));
                vectors.store(type, () -> at(address, type));
            }

            /// Masked, the accumulator keeps the lanes past the end.
            void accumulate(Stage.Fold fold, int accumulator) {
                var type = carrier(fold);
                int value = carried(fold);
                vectors.join(fold.op(), type, accumulator, value);
                if (masked) {
                    int joined = local(TypeKind.REFERENCE);
                    code.astore(joined).aload(accumulator).aload(joined);
                    mask(type);
                    vectors.blend(type);
                }
                code.astore(accumulator);
            }

            /// A local with what is folded, as what it is folded in.
            private int carried(Stage.Fold fold) {
                int value = locals.get(fold.value());
                if (carrier(fold) == fold.value().type()) {
                    return value;
                }
                int bits = local(TypeKind.REFERENCE);
                code.aload(value);
                vectors.reinterpret(fold.value().type(), carrier(fold));
                code.astore(bits);
                return bits;
            }

            /// Column accumulators lie in memory, side by side as the columns do.
            void join(Stage.Fold fold, int address) {
                var type = carrier(fold);
                int value = carried(fold);
                vectors.load(type, () -> at(address, type));
                int accumulator = local(TypeKind.REFERENCE);
                code.astore(accumulator);
                vectors.join(fold.op(), type, accumulator, value);
                vectors.store(type, () -> at(address, type));
            }

            /// The address of this part's first value: `base + (index + part * lanes) * bytes`.
            private void at(int base, Type type) {
                code.lload(base).lload(bounded);
                if (type == Type.I4) {
                    code.iconst_1().lshr();
                } else {
                    code.loadConstant(shift(type)).lshl();
                }
                code.ladd();
                if (part > 0) {
                    code.loadConstant(type.bytes((long) part * lanes)).ladd();
                }
            }

            /// Pushes the index of this part's first element in the session.
            private void origin() {
                code.lload(origin).lload(index).ladd().loadConstant((long) part * lanes).ladd().l2i();
            }

            /// Pushes the mask of the lanes before the end.
            private void mask(Type type) {
                vectors.species(type);
                code.lload(index).loadConstant((long) part * lanes).ladd().lload(COUNT);
                vectors.indexInRange();
            }
        }
    }
}
