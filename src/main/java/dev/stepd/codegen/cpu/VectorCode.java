package dev.stepd.codegen.cpu;

import dev.stepd.expr.BinaryOp;
import dev.stepd.expr.Expr;
import dev.stepd.expr.ReduceOp;
import dev.stepd.expr.Scalar;
import dev.stepd.expr.Type;
import dev.stepd.expr.UnaryOp;
import java.lang.classfile.CodeBuilder;
import java.lang.classfile.TypeKind;
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
    static final ClassDesc LANES = ClassDesc.of("dev.stepd.codegen.cpu.Lanes");
    private static final ClassDesc MATH = ClassDesc.of("java.lang.Math");
    static final ClassDesc VECTOR = ClassDesc.of(API + "Vector");
    static final ClassDesc MASK = ClassDesc.of(API + "VectorMask");
    static final ClassDesc SPECIES = ClassDesc.of(API + "VectorSpecies");
    static final ClassDesc OPERATORS = ClassDesc.of(API + "VectorOperators");
    private static final ClassDesc SEGMENT = ClassDesc.of("java.lang.foreign.MemorySegment");
    private static final ClassDesc BYTE_ORDER = ClassDesc.of("java.nio.ByteOrder");
    private static final ClassDesc BINARY = OPERATORS.nested("Binary");
    private static final ClassDesc ASSOCIATIVE = OPERATORS.nested("Associative");
    static final ClassDesc COMPARISON = OPERATORS.nested("Comparison");
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
                convert(letter(x.type()) + "2" + letter(type), type);
            }
            case Expr.Bits(Expr x) -> {
                push.accept(x);
                reinterpret(x.type(), node.type());
            }
            case Expr.Const _, Expr.Hyper _, Expr.Counter _, Expr.Read _, Expr.Reduce _, Expr.Ranked _, Expr.RunningSum _, Expr.Index _,
                    Expr.Draw _, Expr.Lookup _ ->
                throw new IllegalStateException("no operation of a kernel: " + node);
        }
    }

    /// With a vector on the stack: its values as another type, in as many lanes.
    private void convert(String conversion, Type type) {
        convert(conversion, speciesName(type), type);
    }

    private void convert(String conversion, String species, Type type) {
        code.getstatic(OPERATORS, conversion, CONVERSION).getstatic(LANES, species, SPECIES).iconst_0()
                .invokevirtual(VECTOR, "convertShape",
                        MethodTypeDesc.of(VECTOR, CONVERSION, SPECIES, ConstantDescs.CD_int))
                .checkcast(vector(type));
    }

    /// As the names of conversions have it.
    private static String letter(Type type) {
        return switch (type) {
            case F32 -> "F";
            case F64 -> "D";
            case I8 -> "B";
            case I16 -> "S";
            case I32 -> "I";
            case I4, I64, BOOL -> throw new IllegalStateException("no conversion of " + type);
        };
    }

    /// With a vector on the stack: its bits as another type.
    void reinterpret(Type from, Type to) {
        var name = "reinterpretAs" + switch (to) {
            case F32 -> "Floats";
            case F64 -> "Doubles";
            case I32 -> "Ints";
            case I64 -> "Longs";
            case I4, I8, I16, BOOL -> throw new IllegalStateException("bits as " + to);
        };
        code.invokevirtual(vector(from), name, MethodTypeDesc.of(vector(to)));
    }

    /// With an int vector and an int on the stack: the bits both have.
    void and() {
        code.invokevirtual(ints(), "and", MethodTypeDesc.of(ints(), ConstantDescs.CD_int));
    }

    ClassDesc ints() {
        return vector(Type.I32);
    }

    /// The int that `push` pushes and the whole numbers after it, one in each lane.
    ///
    /// @param laneNumbers a local with the [#laneNumbers]
    void count(int laneNumbers, Runnable push) {
        species(Type.I32);
        push.run();
        broadcast(Type.I32);
        code.aload(laneNumbers).invokevirtual(ints(), "add", MethodTypeDesc.of(ints(), VECTOR));
    }

    /// The lanes' numbers.
    void laneNumbers() {
        species(Type.I32);
        code.invokestatic(ints(), "zero", MethodTypeDesc.of(ints(), SPECIES));
        code.iconst_1().invokevirtual(ints(), "addIndex", MethodTypeDesc.of(ints(), ConstantDescs.CD_int));
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
        if (node.op().isShift()) {
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
        if (node.op() == BinaryOp.AND || node.op() == BinaryOp.OR || node.op() == BinaryOp.XOR) {
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
            case COS, SIN -> throw new IllegalStateException(op + " is for the host");
        };
    }

    /// Joins the vectors in two locals; leaves the result on the stack.
    ///
    /// The result is made by a method of `b`, never of `a`: where `a` is carried round a loop, the compiler knows its class
    /// only once it knows that of the result, and until then all it could emit is a call.
    void join(ReduceOp op, Type type, int a, int b) {
        var vector = vector(type);
        switch (op) {
            case SUM -> code.aload(b).aload(a).invokevirtual(vector, "add", MethodTypeDesc.of(vector, VECTOR));
            case MAX -> { // b > a || isNaN(b) ? b : a
                code.aload(b).aload(a);
                if (type.isInteger()) {
                    code.invokevirtual(vector, "max", MethodTypeDesc.of(vector, VECTOR));
                    return;
                }
                compare("GT", type, b, a);
                compare("NE", type, b, b);
                code.invokevirtual(MASK, "or", MethodTypeDesc.of(MASK, MASK))
                        .invokevirtual(MASK, "not", MethodTypeDesc.of(MASK));
                blend(type);
            }
        }
    }

    private void compare(String comparison, Type type, int a, int b) {
        code.aload(a).getstatic(OPERATORS, comparison, COMPARISON).aload(b)
                .invokevirtual(vector(type), "compare", MethodTypeDesc.of(MASK, COMPARISON, VECTOR));
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
            case I4, I8, I16, BOOL -> throw new IllegalStateException("a constant of " + constant.type());
        }
        broadcast(constant.type());
    }

    /// Broadcasts the value at the address that `push` pushes, converted as a scalar.
    void broadcast(Type type, Type storage, Runnable push) {
        species(type);
        var loaded = storage.loaded();
        if (storage.isReal()) {
            // As the lane of a vector: such a load is always inlined, while one from a segment stays a call where it is rare.
            code.getstatic(LANES, Lanes.speciesName(storage, 2), SPECIES);
            memory();
            push.run();
            order();
            code.invokestatic(vector(storage), "fromMemorySegment",
                    MethodTypeDesc.of(vector(storage), SPECIES, SEGMENT, ConstantDescs.CD_long, BYTE_ORDER));
            code.iconst_0().invokevirtual(vector(storage), "lane",
                    MethodTypeDesc.of(primitive(storage), ConstantDescs.CD_int));
        } else {
            push.run();
            code.invokestatic(LANES, "get" + storage, MethodTypeDesc.of(primitive(loaded), ConstantDescs.CD_long));
        }
        if (type != loaded) {
            code.conversion(kind(loaded), kind(type));
        }
        broadcast(type);
    }

    private static TypeKind kind(Type type) {
        return switch (type) {
            case F32 -> TypeKind.FLOAT;
            case F64 -> TypeKind.DOUBLE;
            case I32 -> TypeKind.INT;
            case I64 -> TypeKind.LONG;
            case I4, I8, I16, BOOL -> throw new IllegalStateException("nothing is computed in " + type);
        };
    }

    private void broadcast(Type type) {
        var method = MethodTypeDesc.of(vector(type), SPECIES, primitive(type));
        code.invokestatic(vector(type), "broadcast", method);
    }

    /// Loads from the address that `push` pushes, integers of arrays as `I32`.
    void load(Type type, Runnable push) {
        if (type == Type.I4) {
            loadHalves(push);
            return;
        }
        species(type);
        memory();
        push.run();
        order();
        code.invokestatic(vector(type), "fromMemorySegment",
                MethodTypeDesc.of(vector(type), SPECIES, SEGMENT, ConstantDescs.CD_long, BYTE_ORDER));
        if (type != type.loaded()) {
            convert("ZERO_EXTEND_" + letter(type) + "2I", Type.I32);
        }
    }

    /// With a vector on the stack: stores it at the address that `push` pushes, of integers the bits that the type keeps.
    ///
    /// A vector has 8 bytes at least: of one that is longer than what is to be stored, the first bytes go as an integer.
    void store(Type type, Runnable push) {
        if (type == Type.I4) {
            joinHalves();
            storeBytes(Type.I8, lanes / 2, push);
        } else if (type != type.loaded()) {
            convert("I2" + letter(type), speciesName(type), type);
            storeBytes(type, lanes * type.bytes(), push);
        } else {
            storeVector(type, push);
        }
    }

    private void storeBytes(Type type, int bytes, Runnable push) {
        if (bytes >= Long.BYTES) {
            storeVector(type, push);
            return;
        }
        reinterpret(type, Type.I32);
        code.iconst_0().invokevirtual(ints(), "lane", MethodTypeDesc.of(ConstantDescs.CD_int, ConstantDescs.CD_int));
        push.run();
        var set = bytes == Integer.BYTES ? "setInt" : bytes == Short.BYTES ? "setShort" : "setByte";
        code.invokestatic(LANES, set, MethodTypeDesc.of(
                ConstantDescs.CD_void, ConstantDescs.CD_int, ConstantDescs.CD_long));
    }

    /// A byte is two values: as a `long` it holds them side by side, as two `int` do.
    private void loadHalves(Runnable push) {
        var longs = vector(Type.I64);
        code.getstatic(LANES, "I8X8", SPECIES);
        memory();
        push.run();
        order();
        code.invokestatic(vector(Type.I8), "fromMemorySegment", MethodTypeDesc.of(
                vector(Type.I8), SPECIES, SEGMENT, ConstantDescs.CD_long, BYTE_ORDER));
        convert("ZERO_EXTEND_B2L", Lanes.speciesName(Type.I64, lanes / 2), Type.I64);
        code.dup();
        shift("LSHR", 4);
        code.swap();
        shift("LSHL", 32);
        code.loadConstant(0xfL << 32).invokevirtual(longs, "and", MethodTypeDesc.of(longs, ConstantDescs.CD_long));
        code.invokevirtual(longs, "or", MethodTypeDesc.of(longs, VECTOR));
        reinterpret(Type.I64, Type.I32);
    }

    private void joinHalves() {
        var longs = vector(Type.I64);
        reinterpret(Type.I32, Type.I64);
        code.dup();
        shift("LSHL", 4);
        code.swap();
        shift("LSHR", 32);
        code.loadConstant(0xfL).invokevirtual(longs, "and", MethodTypeDesc.of(longs, ConstantDescs.CD_long));
        code.invokevirtual(longs, "or", MethodTypeDesc.of(longs, VECTOR));
        convert("L2B", "I8X8", Type.I8);
    }

    private void shift(String direction, long distance) {
        var longs = vector(Type.I64);
        code.getstatic(OPERATORS, direction, BINARY).loadConstant(distance)
                .invokevirtual(longs, "lanewise", MethodTypeDesc.of(longs, BINARY, ConstantDescs.CD_long));
    }

    private void storeVector(Type type, Runnable push) {
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

    /// Joins the lanes of the vector in a local, halves first, and stores the one value left.
    void storeJoined(ReduceOp op, Type type, int vector, int address) {
        code.lload(address);
        joinLanes(op, type, vector, 0, 1);
        code.invokestatic(LANES, "set" + type, MethodTypeDesc.of(
                ConstantDescs.CD_void, ConstantDescs.CD_long, primitive(type)));
    }

    /// What lane `lane` holds when `left` lanes are left.
    private void joinLanes(ReduceOp op, Type type, int vector, int lane, int left) {
        var scalar = primitive(type);
        if (left == lanes) {
            code.aload(vector).loadConstant(lane).invokevirtual(vector(type), "lane",
                    MethodTypeDesc.of(scalar, ConstantDescs.CD_int));
            return;
        }
        joinLanes(op, type, vector, lane, 2 * left);
        joinLanes(op, type, vector, lane + left, 2 * left);
        switch (op) {
            case SUM -> code.dadd();
            case MAX -> code.invokestatic(type.isInteger() ? MATH : LANES, "max", MethodTypeDesc.of(scalar, scalar, scalar));
        }
    }

    /// With a species, an index and a limit on the stack.
    void indexInRange() {
        code.invokeinterface(SPECIES, "indexInRange",
                MethodTypeDesc.of(MASK, ConstantDescs.CD_long, ConstantDescs.CD_long));
    }

    void species(Type type) {
        code.getstatic(LANES, speciesName(type), SPECIES);
    }

    private String speciesName(Type type) {
        return Lanes.speciesName(type, lanes);
    }

    private static ClassDesc vector(Type type) {
        return ClassDesc.of(API + switch (type) {
            case F32 -> "FloatVector";
            case F64 -> "DoubleVector";
            case I32 -> "IntVector";
            case I64 -> "LongVector";
            case I4, I8 -> "ByteVector";
            case I16 -> "ShortVector";
            case BOOL -> "VectorMask";
        });
    }

    private static ClassDesc primitive(Type type) {
        return switch (type) {
            case F32 -> ConstantDescs.CD_float;
            case F64 -> ConstantDescs.CD_double;
            case I32 -> ConstantDescs.CD_int;
            case I64 -> ConstantDescs.CD_long;
            case I4, I8, I16, BOOL -> throw new IllegalStateException("nothing is computed in " + type);
        };
    }
}
