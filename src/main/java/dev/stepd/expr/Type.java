package dev.stepd.expr;

/// What a value is made of, or what an array holds.
///
/// `I8` and `I16` are for arrays only: what is read of them is an `I32` without sign, and what is written keeps an `I32`'s low
/// bits.
public enum Type {
    F32(4),
    F64(8),
    I8(1),
    I16(2),
    I32(4),
    I64(8),
    BOOL(0);

    private final int bytes;

    Type(int bytes) {
        this.bytes = bytes;
    }

    /// Bytes in memory; booleans are never stored.
    public int bytes() {
        return bytes;
    }

    public boolean isReal() {
        return this == F32 || this == F64;
    }

    /// Whether values are computed with it as whole numbers.
    public boolean isInteger() {
        return this == I32 || this == I64;
    }

    /// What a value of an array of this type is computed in.
    public Type loaded() {
        return switch (this) {
            case I8, I16 -> I32;
            case F32, F64, I32, I64, BOOL -> this;
        };
    }

    /// The type of the same width that [Expr.Bits] turns this one into.
    public Type twin() {
        return switch (this) {
            case F32 -> I32;
            case F64 -> I64;
            case I32 -> F32;
            case I64 -> F64;
            case I8, I16, BOOL -> throw new IllegalStateException(this + " has no twin");
        };
    }
}
