package dev.stepd.bench;

import java.util.Optional;

/// One line of the table: something measured, and what it should be at most or at least.
///
/// @param name what was measured
/// @param measured the number with its unit
/// @param target the promise, if there is one
/// @param passed whether it is kept
public record Figure(String name, String measured, Optional<String> target, boolean passed) {
    public static Figure info(String name, String measured) {
        return new Figure(name, measured, Optional.empty(), true);
    }

    public static Figure atMost(String name, double value, double limit, String unit) {
        return new Figure(name, number(value, unit), Optional.of("<= " + number(limit, unit)), value <= limit);
    }

    public static Figure atLeast(String name, double value, double limit, String unit) {
        return new Figure(name, number(value, unit), Optional.of(">= " + number(limit, unit)), value >= limit);
    }

    private static String number(double value, String unit) {
        var digits = value >= 100 ? "%,.0f" : value >= 10 ? "%.1f" : "%.2f";
        return digits.formatted(value) + (unit.isEmpty() ? "" : " " + unit);
    }

    /// Pass, miss, or nothing where nothing was promised.
    String verdict() {
        return target.isEmpty() ? "" : passed ? "pass" : "MISS";
    }
}
