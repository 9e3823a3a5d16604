package dev.stepd.expr;

/// Comparisons of reals, or of integers with their sign; false when an operand is NaN. The others are these with operands or branches exchanged.
public enum CompareOp {
    LT("<"),
    LE("<="),
    EQ("==");

    private final String symbol;

    CompareOp(String symbol) {
        this.symbol = symbol;
    }

    public String symbol() {
        return symbol;
    }
}
