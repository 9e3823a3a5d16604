package dev.stepd.expr;

/// Operations of two operands of one type. Results have that type.
public enum BinaryOp {
    ADD("+"),
    SUB("-"),
    MUL("*"),
    /// Correctly rounded.
    DIV("/"),
    /// The smaller; NaN if either is; of two zeros the first.
    MIN("min"),
    /// The larger; NaN if either is; of two zeros the first.
    MAX("max"),
    /// `x^y` for `x >= 0`, of either zero the same; 1 if x is 1 or y is 0, whatever the other; else NaN for negative x, whole
    /// y included.
    POW("pow"),
    /// The remainder, exact and with the sign of the first; NaN of a division by 0. For the host alone: it counts steps.
    MOD("mod"),
    /// 32 bits mixed from those of two numbers, as a whole number ([Draws]). For the host alone: it keys random draws.
    MIX("mix"),
    /// Bits of integers, or of booleans.
    AND("&"),
    OR("|"),
    /// Bits of integers.
    XOR("^"),
    /// The second operand is a constant below the width.
    SHL("<<"),
    /// Logical; the second operand is a constant below the width.
    SHR(">>>");

    private final String symbol;

    BinaryOp(String symbol) {
        this.symbol = symbol;
    }

    public String symbol() {
        return symbol;
    }

    /// Whether the operation is written out in simpler ones before code is made of it.
    public boolean expands() {
        return this == MIN || this == MAX || this == POW;
    }

    /// Whether only values the host knows may be made with it.
    public boolean hostOnly() {
        return this == MOD || this == MIX;
    }

    public boolean isShift() {
        return this == SHL || this == SHR;
    }

    /// Whether there is such an operation: reals have arithmetic, integers arithmetic without division, which keeps the low bits,
    /// and bits, booleans AND and OR.
    public boolean takes(Type type) {
        return switch (this) {
            case ADD, SUB, MUL -> type.isReal() || type.isInteger();
            case DIV, MIN, MAX, POW, MOD, MIX -> type.isReal();
            case AND, OR -> type.isInteger() || type == Type.BOOL;
            case XOR, SHL, SHR -> type.isInteger();
        };
    }
}
