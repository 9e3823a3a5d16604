package dev.stepd.expr;

/// How a reduction joins two values.
public enum ReduceOp {
    SUM(0.0),
    /// NaN if any value is. One of the values themselves, so f32 will do for those of f32.
    MAX(Double.NEGATIVE_INFINITY);

    private final double identity;

    ReduceOp(double identity) {
        this.identity = identity;
    }

    /// The result over nothing.
    public double identity() {
        return identity;
    }

    /// Whether nothing is rounded, whatever the type of the values.
    public boolean exact() {
        return this == MAX;
    }

    public double join(double a, double b) {
        return switch (this) {
            case SUM -> a + b;
            case MAX -> a >= b || a != a ? a : b;
        };
    }
}
