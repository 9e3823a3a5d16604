package dev.stepd.expr;

/// Operations of one operand. Results have the operand's type.
public enum UnaryOp {
    NEG,
    ABS,
    /// Correctly rounded.
    SQRT,
    /// -1, 0 or 1; a zero keeps its sign and NaN stays NaN.
    SIGN,
    EXP,
    /// Natural logarithm.
    LOG,
    TANH,
    /// For the host alone: schedules are made of it.
    COS,
    /// For the host alone.
    SIN;

    /// Whether the operation is written out in simpler ones before code is made of it.
    public boolean expands() {
        return this == SIGN || this == EXP || this == LOG || this == TANH;
    }

    /// Whether only values the host knows may be made with it.
    public boolean hostOnly() {
        return this == COS || this == SIN;
    }
}
