package dev.stepd.expr;

/// What a value is made of. Integers exist for the bit work inside expanded functions only.
public enum Type {
    F32(4),
    F64(8),
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

    /// The type of the same width that [Expr.Bits] turns this one into.
    public Type twin() {
        return switch (this) {
            case F32 -> I32;
            case F64 -> I64;
            case I32 -> F32;
            case I64 -> F64;
            case BOOL -> throw new IllegalStateException("a boolean has no bits");
        };
    }
}
