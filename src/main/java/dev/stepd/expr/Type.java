package dev.stepd.expr;

/// What a value is made of, or what an array holds.
///
/// `I4`, `I8` and `I16` are for arrays only: what is read of them is an `I32` without sign, and what is written keeps an
/// `I32`'s low bits. `I4` is for elements only: two share a byte, the even one in its upper half, and every tensor begins with a
/// byte of its own.
public enum Type {
    F32(32),
    F64(64),
    I4(4),
    I8(8),
    I16(16),
    I32(32),
    I64(64),
    BOOL(0);

    private final int bits;

    Type(int bits) {
        this.bits = bits;
    }

    /// Bits in memory; booleans are never stored.
    public int bits() {
        return bits;
    }

    /// Bytes of one value in memory.
    public int bytes() {
        if (this == I4) {
            throw new IllegalStateException("two values of I4 share a byte");
        }
        return bits / 8;
    }

    /// Bytes of as many values of one tensor.
    public long bytes(long count) {
        return Math.ceilDiv(Math.multiplyExact(count, (long) bits), 8L);
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
            case I4, I8, I16 -> I32;
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
            case I4, I8, I16, BOOL -> throw new IllegalStateException(this + " has no twin");
        };
    }
}
