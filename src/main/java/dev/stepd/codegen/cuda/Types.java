package dev.stepd.codegen.cuda;

import dev.stepd.expr.Type;

/// How types and constants are written.
final class Types {
    private Types() {}

    /// What values are computed in.
    static String computed(Type type) {
        return switch (type) {
            case F32 -> "float";
            case F64 -> "double";
            case I32 -> "int";
            case I64 -> "long long";
            case BOOL -> "bool";
            case I4, I8, I16 -> throw new IllegalStateException("nothing is computed in " + type);
        };
    }

    /// What an array is made of.
    static String stored(Type type) {
        return switch (type) {
            case I4, I8 -> "unsigned char";
            case I16 -> "unsigned short";
            case F32, F64, I32, I64, BOOL -> computed(type);
        };
    }

    static String literal(Type type, long bits) {
        return switch (type) {
            case F32 -> real(Float.intBitsToFloat((int) bits));
            case F64 -> real(Double.longBitsToDouble(bits));
            case I32 -> integer((int) bits);
            case I64 -> "0x" + Long.toHexString(bits) + "LL";
            case BOOL -> bits != 0 ? "true" : "false";
            case I4, I8, I16 -> throw new IllegalStateException("a constant of " + type);
        };
    }

    /// The shortest decimal that reads as the value again; what compilers might read otherwise goes by its bits.
    private static String real(float value) {
        boolean plain = Float.isFinite(value) && (value == 0 || Math.abs(value) >= Float.MIN_NORMAL);
        return plain ? value + "f" : "__int_as_float(0x" + Integer.toHexString(Float.floatToRawIntBits(value)) + ")";
    }

    private static String real(double value) {
        boolean plain = Double.isFinite(value) && (value == 0 || Math.abs(value) >= Double.MIN_NORMAL);
        return plain ? Double.toString(value)
                : "__longlong_as_double(0x" + Long.toHexString(Double.doubleToRawLongBits(value)) + "LL)";
    }

    private static String integer(int value) {
        return value > -1000 && value < 1000 ? Integer.toString(value) : "(int) 0x" + Integer.toHexString(value) + "u";
    }
}
