package dev.stepd.expr.equation;

import dev.stepd.expr.Scalar;
import dev.stepd.expr.Type;
import java.util.Locale;

/// Literals as people write them: `1`, `1e-8`, `1/3`, `pi`.
final class Numbers {
    static final String INFINITY = "infinity";

    private static final double WHOLE_MAX = 1e15;

    private Numbers() {}

    static String text(Type type, long bits) {
        if (type == Type.BOOL) {
            return bits == 0 ? "false" : "true";
        }
        return type.isReal() ? real(type, bits) : Long.toString(bits);
    }

    private static String real(Type type, long bits) {
        if (bits == Scalar.of(type, Math.PI)) {
            return "pi";
        }
        if (bits == Scalar.of(type, 1.0 / 3)) {
            return "1/3";
        }
        double value = Scalar.toDouble(type, bits);
        if (Double.isInfinite(value)) {
            return value > 0 ? INFINITY : "-" + INFINITY;
        }
        if (value == Math.rint(value) && Math.abs(value) < WHOLE_MAX) {
            return Long.toString((long) value);
        }
        var text = type == Type.F32 ? Float.toString((float) value) : Double.toString(value);
        return text.toLowerCase(Locale.ROOT).replace(".0e", "e");
    }
}
