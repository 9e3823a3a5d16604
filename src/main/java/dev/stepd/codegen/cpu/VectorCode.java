package dev.stepd.codegen.cpu;

import dev.stepd.expr.BinaryOp;
import dev.stepd.expr.Expr;
import dev.stepd.expr.ReduceOp;
import dev.stepd.expr.Scalar;
import dev.stepd.expr.Type;
import dev.stepd.expr.UnaryOp;
import java.lang.classfile.CodeBuilder;
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDescs;
import java.lang.constant.MethodTypeDesc;
import java.util.function.Consumer;

/// One Vector API call for each operation of the language, at a fixed number of lanes.
///
/// Vectors are passed to the API's own methods only: those are always inlined, while a method of ours would be subject to
/// the compiler's limits, and one that stays a call makes objects of the vectors it gets, in the loop they come from.
final class VectorCode {
    private static final String API = "jdk.incubator.vector.";
    private static final ClassDesc LANES = ClassDesc.of("dev.stepd.codegen.cpu.Lanes");
    private static final ClassDesc VECTOR = ClassDesc.of(API + "Vector");
    private static final ClassDesc MASK = ClassDesc.of(API + "VectorMask");
    private static final ClassDesc SPECIES = ClassDesc.of(API + "VectorSpecies");
    private static final ClassDesc OPERATORS = ClassDesc.of(API + "VectorOperators");
    private static final ClassDesc SEGMENT = ClassDesc.of("java.lang.foreign.MemorySegment");
    private static final ClassDesc BYTE_ORDER = ClassDesc.of("java.nio.ByteOrder");
    private static final ClassDesc BINARY = OPERATORS.nested("Binary");
    private static final ClassDesc ASSOCIATIVE = OPERATORS.nested("Associative");
    private static final ClassDesc COMPARISON = OPERATORS.nested("Comparison");
    private static final ClassDesc CONVERSION = OPERATORS.nested("Conversion");

    private final CodeBuilder code;
    private final int lanes;

    VectorCode(CodeBuilder code, int lanes) {
        this.code = code;
        this.lanes = lanes;
    }

    /// Emits `node` with its operands pushed by `push`; leaves the result on the stack.
    void operation(Expr node, Consumer<Expr> push) {
        var vector = vector(node.type() == Type.BOOL ? Type.F32 : node.type());
        switch (node) {
            case Expr.Unary(UnaryOp op, Expr x) -> {
                push.accept(x);
                code.invokevirtual(vector, unary(op), MethodTypeDesc.of(vector));
            }
            case Expr.Binary binary -> binary(binary, push);
            case Expr.Fma(Expr a, Expr b, Expr c) -> {
                push.accept(a);
                push.accept(b);
                push.accept(c);
                code.invokevirtual(vector, "fma", MethodTypeDesc.of(vector, VECTOR, VECTOR));
            }
            case Expr.Compare(var op, Expr a, Expr b) -> {
                push.accept(a);
                code.getstatic(OPERATORS, op.name(), COMPARISON);
                push.accept(b);
                code.invokevirtual(vector(a.type()), "compare", MethodTypeDesc.of(MASK, COMPARISON, VECTOR));
            }
            case Expr.Select(Expr condition, Expr then, Expr otherwise) -> {
                push.accept(otherwise);
                push.accept(then);
                push.accept(condition);
                castMask(node.type());
                blend(node.type());
            }
            case Expr.Convert(Type type, Expr x) -> {
                push.accept(x);
                code.getstatic(OPERATORS, x.type() == Type.F32 ? "F2D" : "D2F", CONVERSION);
                species(type);
                code.iconst_0()
                        .invokevirtual(VECTOR, "convertShape",
                                MethodTypeDesc.of(VECTOR, CONVERSION, SPECIES, ConstantDescs.CD_int))
                        .checkcast(vector(type));
            }
            case Expr.Bits(Expr x) -> {
                push.accept(x);
                var name = "reinterpretAs" + switch (node.type()) {
                    case F32 -> "Floats";
                    case F64 -> "Doubles";
                    case I32 -> "Ints";
                    case I64 -> "Longs";
                    case BOOL -> throw new IllegalStateException("bits of a boolean");
                };
                code.invokevirtual(vector(x.type()), name, MethodTypeDesc.of(vector));
            }
            case Expr.Const _, Expr.Hyper _, Expr.Counter _, Expr.Read _, Expr.Reduce _ ->
                throw new IllegalStateException("no operation of a kernel: " + node);
        }
    }

    /// Masks of 32-bit and of 64-bit comparisons do not mix.
    private void castMask(Type type) {
        species(type);
        code.invokevirtual(MASK, "cast", MethodTypeDesc.of(MASK, SPECIES));
    }

    private void binary(Expr.Binary node, Consumer<Expr> push) {
        push.accept(node.a());
        var type = node.type();
        if (type == Type.BOOL) {
            castMask(Type.F32);
            push.accept(node.b());
            castMask(Type.F32);
            code.invokevirtual(MASK, name(node.op()), MethodTypeDesc.of(MASK, MASK));
            return;
        }
        var vector = vector(type);
        if (node.op() == BinaryOp.SHL || node.op() == BinaryOp.SHR) {
            code.getstatic(OPERATORS, node.op() == BinaryOp.SHL ? "LSHL" : "LSHR", BINARY);
            long distance = ((Expr.Const) node.b()).bits();
            if (type == Type.I32) {
                code.loadConstant((int) distance);
            } else {
                code.loadConstant(distance);
            }
            code.invokevirtual(vector, "lanewise", MethodTypeDesc.of(vector, BINARY, primitive(type)));
            return;
        }
        if (type == Type.I32 || type == Type.I64) {
            code.getstatic(OPERATORS, node.op().name(), ASSOCIATIVE);
            push.accept(node.b());
            code.invokevirtual(vector, "lanewise", MethodTypeDesc.of(vector, BINARY, VECTOR));
            return;
        }
        push.accept(node.b());
        code.invokevirtual(vector, name(node.op()), MethodTypeDesc.of(vector, VECTOR));
    }

    private static String name(BinaryOp op) {
        return op.name().toLowerCase(java.util.Locale.ROOT);
    }

    private static String unary(UnaryOp op) {
        return switch (op) {
            case NEG -> "neg";
            case ABS -> "abs";
            case SQRT -> "sqrt";
            case SIGN, EXP, LOG, TANH -> throw new IllegalStateException(op + " was not expanded");
            case COS -> throw new IllegalStateException(op + " is for the host");
        };
    }

    /// Joins the f64 vectors in two locals; leaves the result on the stack.
    ///
    /// The result is made by a method of `b`, never of `a`: where `a` is carried round a loop, the compiler knows its class
    /// only once it knows that of the result, and until then all it could emit is a call.
    void join(ReduceOp op, int a, int b) {
        var vector = vector(Type.F64);
        switch (op) {
            case SUM -> code.aload(b).aload(a).invokevirtual(vector, "add", MethodTypeDesc.of(vector, VECTOR));
            case MAX -> { // b > a || isNaN(b) ? b : a
                code.aload(b).aload(a);
                compare("GT", b, a);
                compare("NE", b, b);
                code.invokevirtual(MASK, "or", MethodTypeDesc.of(MASK, MASK))
                        .invokevirtual(MASK, "not", MethodTypeDesc.of(MASK));
                blend(Type.F64);
            }
        }
    }

    private void compare(String comparison, int a, int b) {
        code.aload(a).getstatic(OPERATORS, comparison, COMPARISON).aload(b)
                .invokevirtual(vector(Type.F64), "compare", MethodTypeDesc.of(MASK, COMPARISON, VECTOR));
    }

    /// With a vector, another, and a mask on the stack: the other where the mask is set.
    void blend(Type type) {
        code.invokevirtual(vector(type), "blend", MethodTypeDesc.of(vector(type), VECTOR, MASK));
    }

    void broadcast(Expr.Const constant) {
        species(constant.type());
        switch (constant.type()) {
            case F32 -> code.loadConstant((float) Scalar.toDouble(Type.F32, constant.bits()));
            case F64 -> code.loadConstant(Scalar.toDouble(Type.F64, constant.bits()));
            case I32 -> code.loadConstant((int) constant.bits());
            case I64 -> code.loadConstant(constant.bits());
            case BOOL -> throw new IllegalStateException("a boolean constant outside a select");
        }
        broadcast(constant.type());
    }

    /// Broadcasts the value at an address, converted as a scalar. It is loaded as lane of a vector, since such a load is always
    /// inlined, while one from a segment ends in a call wherever the compiler finds it too rare to look into.
    void broadcast(Type type, Type storage, int addressLocal) {
        species(type);
        int two = 2;
        code.getstatic(LANES, Lanes.speciesName(storage, two), SPECIES);
        memory();
        code.lload(addressLocal);
        order();
        code.invokestatic(vector(storage), "fromMemorySegment",
                MethodTypeDesc.of(vector(storage), SPECIES, SEGMENT, ConstantDescs.CD_long, BYTE_ORDER));
        code.iconst_0().invokevirtual(vector(storage), "lane", MethodTypeDesc.of(primitive(storage), ConstantDescs.CD_int));
        if (type != storage) {
            if (type == Type.F32) {
                code.d2f();
            } else {
                code.f2d();
            }
        }
        broadcast(type);
    }

    private void broadcast(Type type) {
        var method = MethodTypeDesc.of(vector(type), SPECIES, primitive(type));
        code.invokestatic(vector(type), "broadcast", method);
    }

    /// Loads from the address that `push` pushes.
    void load(Type type, Runnable push) {
        species(type);
        memory();
        push.run();
        order();
        code.invokestatic(vector(type), "fromMemorySegment",
                MethodTypeDesc.of(vector(type), SPECIES, SEGMENT, ConstantDescs.CD_long, BYTE_ORDER));
    }

    /// With a vector on the stack: stores it at the address that `push` pushes.
    void store(Type type, Runnable push) {
        memory();
        push.run();
        order();
        code.invokevirtual(vector(type), "intoMemorySegment",
                MethodTypeDesc.of(ConstantDescs.CD_void, SEGMENT, ConstantDescs.CD_long, BYTE_ORDER));
    }

    private void memory() {
        code.getstatic(LANES, "ALL", SEGMENT);
    }

    private void order() {
        code.getstatic(LANES, "LE", BYTE_ORDER);
    }

    /// Joins the lanes of the f64 vector in a local, halves first, and stores the one value left.
    void storeJoined(ReduceOp op, int vector, int address) {
        code.lload(address);
        joinLanes(op, vector, 0, 1);
        code.invokestatic(LANES, "setDouble", MethodTypeDesc.of(
                ConstantDescs.CD_void, ConstantDescs.CD_long, ConstantDescs.CD_double));
    }

    /// What lane `lane` holds when `left` lanes are left.
    private void joinLanes(ReduceOp op, int vector, int lane, int left) {
        if (left == lanes) {
            code.aload(vector).loadConstant(lane).invokevirtual(vector(Type.F64), "lane",
                    MethodTypeDesc.of(ConstantDescs.CD_double, ConstantDescs.CD_int));
            return;
        }
        joinLanes(op, vector, lane, 2 * left);
        joinLanes(op, vector, lane + left, 2 * left);
        switch (op) {
            case SUM -> code.dadd();
            case MAX -> code.invokestatic(LANES, "max", MethodTypeDesc.of(
                    ConstantDescs.CD_double, ConstantDescs.CD_double, ConstantDescs.CD_double));
        }
    }

    /// With a species, an index and a limit on the stack.
    void indexInRange() {
        code.invokeinterface(SPECIES, "indexInRange",
                MethodTypeDesc.of(MASK, ConstantDescs.CD_long, ConstantDescs.CD_long));
    }

    void species(Type type) {
        code.getstatic(LANES, Lanes.speciesName(type, lanes), SPECIES);
    }

    private static ClassDesc vector(Type type) {
        return ClassDesc.of(API + switch (type) {
            case F32 -> "FloatVector";
            case F64 -> "DoubleVector";
            case I32 -> "IntVector";
            case I64 -> "LongVector";
            case BOOL -> "VectorMask";
        });
    }

    private static ClassDesc primitive(Type type) {
        return switch (type) {
            case F32 -> ConstantDescs.CD_float;
            case F64 -> ConstantDescs.CD_double;
            case I32 -> ConstantDescs.CD_int;
            case I64 -> ConstantDescs.CD_long;
            case BOOL -> ConstantDescs.CD_boolean;
        };
    }
}
