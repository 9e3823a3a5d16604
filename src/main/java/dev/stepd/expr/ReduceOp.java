package dev.stepd.expr;

/// How a reduction joins two f64 values.
public enum ReduceOp {
    SUM(0.0),
    /// NaN if any value is.
    MAX(Double.NEGATIVE_INFINITY);

    private final double identity;

    ReduceOp(double identity) {
        this.identity = identity;
    }

    /// The result over nothing.
    public double identity() {
        return identity;
    }

    public double join(double a, double b) {
        return switch (this) {
            case SUM -> a + b;
            case MAX -> a >= b || a != a ? a : b;
        };
    }
}
