package dev.stepd.expr;

/// What every operation means for one value: the reference that generated code is held to, and what constant folding
/// and the host's scalars compute with. A value is its bits; 32-bit types lie sign-extended in a long, smaller ones, which
/// only arrays hold, without sign.
public final class Scalar {
    private Scalar() {}

    /// The bits of `value` as `type`.
    public static long of(Type type, double value) {
        return switch (type) {
            case F32 -> Float.floatToRawIntBits((float) value);
            case F64 -> Double.doubleToRawLongBits(value);
            case I4 -> (int) value & 0xf;
            case I8 -> (int) value & 0xff;
            case I16 -> (int) value & 0xffff;
            case I32 -> (int) value;
            case I64 -> (long) value;
            case BOOL -> value != 0 ? 1 : 0;
        };
    }

    /// What an array of a type keeps of a value.
    public static long stored(Type type, long bits) {
        return switch (type) {
            case I4 -> bits & 0xf;
            case I8 -> bits & 0xff;
            case I16 -> bits & 0xffff;
            case F32, F64, I32, I64, BOOL -> bits;
        };
    }

    /// The value of a real, or of a whole number that a real holds exactly.
    public static double toDouble(Type type, long bits) {
        return switch (type) {
            case F32 -> Float.intBitsToFloat((int) bits);
            case F64 -> Double.longBitsToDouble(bits);
            case I4, I8, I16, I32 -> bits;
            case I64, BOOL -> throw new IllegalStateException(type + " is not real");
        };
    }

    public static long convert(Type from, Type to, long bits) {
        return of(to, toDouble(from, bits));
    }

    /// The bits seen as the type of the same width.
    public static long twin(Type from, long bits) {
        return from == Type.I32 || from == Type.F32 ? (int) bits : bits;
    }

    public static long unary(UnaryOp op, Type type, long x) {
        if (type == Type.F32) {
            float v = Float.intBitsToFloat((int) x);
            return Float.floatToRawIntBits(switch (op) {
                case NEG -> -v;
                case ABS -> Math.abs(v);
                case SQRT -> (float) Math.sqrt(v);
                case SIGN -> Math.signum(v);
                case EXP -> (float) StrictMath.exp(v);
                case LOG -> (float) StrictMath.log(v);
                case TANH -> (float) StrictMath.tanh(v);
                case COS -> (float) StrictMath.cos(v);
                case SIN -> (float) StrictMath.sin(v);
            });
        }
        double v = Double.longBitsToDouble(x);
        return Double.doubleToRawLongBits(switch (op) {
            case NEG -> -v;
            case ABS -> Math.abs(v);
            case SQRT -> Math.sqrt(v);
            case SIGN -> Math.signum(v);
            case EXP -> StrictMath.exp(v);
            case LOG -> StrictMath.log(v);
            case TANH -> StrictMath.tanh(v);
            case COS -> StrictMath.cos(v);
            case SIN -> StrictMath.sin(v);
        });
    }

    public static long binary(BinaryOp op, Type type, long a, long b) {
        return switch (type) {
            case F32 -> Float.floatToRawIntBits(f32(op, Float.intBitsToFloat((int) a), Float.intBitsToFloat((int) b)));
            case F64 -> Double.doubleToRawLongBits(f64(op, Double.longBitsToDouble(a), Double.longBitsToDouble(b)));
            case I32 -> (int) integer(op, (int) a, a & 0xffffffffL, b);
            case I64, BOOL -> integer(op, a, a, b);
            case I4, I8, I16 -> throw new IllegalStateException("nothing is computed in " + type);
        };
    }

    private static float f32(BinaryOp op, float a, float b) {
        return switch (op) {
            case ADD -> a + b;
            case SUB -> a - b;
            case MUL -> a * b;
            case DIV -> a / b;
            case MIN -> a <= b || a != a ? a : b;
            case MAX -> a >= b || a != a ? a : b;
            case POW -> (float) power(a, b);
            case MOD -> a % b;
            case MIX, AND, OR, XOR, SHL, SHR -> throw new IllegalStateException(op + " of reals");
        };
    }

    private static double f64(BinaryOp op, double a, double b) {
        return switch (op) {
            case ADD -> a + b;
            case SUB -> a - b;
            case MUL -> a * b;
            case DIV -> a / b;
            case MIN -> a <= b || a != a ? a : b;
            case MAX -> a >= b || a != a ? a : b;
            case POW -> power(a, b);
            case MOD -> a % b;
            case MIX -> Draws.key(a, b);
            case AND, OR, XOR, SHL, SHR -> throw new IllegalStateException(op + " of reals");
        };
    }

    private static double power(double x, double y) {
        if (x == 1 || y == 0) {
            return 1; // also of NaN, where Java's has none
        }
        return x < 0 ? Double.NaN : StrictMath.pow(x == 0 ? 0.0 : x, y);
    }

    private static long integer(BinaryOp op, long a, long unsigned, long b) {
        return switch (op) {
            case ADD -> a + b;
            case SUB -> a - b;
            case MUL -> a * b;
            case AND -> a & b;
            case OR -> a | b;
            case XOR -> a ^ b;
            case SHL -> a << b;
            case SHR -> unsigned >>> b;
            case DIV, MIN, MAX, POW, MOD, MIX -> throw new IllegalStateException(op + " of integers");
        };
    }

    public static long fma(Type type, long a, long b, long c) {
        if (type == Type.F32) {
            return Float.floatToRawIntBits(Math.fma(
                    Float.intBitsToFloat((int) a), Float.intBitsToFloat((int) b), Float.intBitsToFloat((int) c)));
        }
        return Double.doubleToRawLongBits(
                Math.fma(Double.longBitsToDouble(a), Double.longBitsToDouble(b), Double.longBitsToDouble(c)));
    }

    public static boolean compare(CompareOp op, Type type, long a, long b) {
        if (type == Type.I64) {
            return switch (op) {
                case LT -> a < b;
                case LE -> a <= b;
                case EQ -> a == b;
            };
        }
        double x = toDouble(type, a);
        double y = toDouble(type, b);
        return switch (op) {
            case LT -> x < y;
            case LE -> x <= y;
            case EQ -> x == y;
        };
    }
}
