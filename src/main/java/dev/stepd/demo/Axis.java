package dev.stepd.demo;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/// Maps values to pixels along one direction.
///
/// @param from the lowest value shown, at pixel `begin`
/// @param to the highest, at pixel `end`
record Axis(double from, double to, double begin, double end, boolean logarithmic) {
    private static final int LINEAR_TICKS = 8;
    private static final int[] LEADING = {1, 2, 5};

    double pixel(double value) {
        double share = logarithmic
                ? Math.log(value / from) / Math.log(to / from)
                : (value - from) / (to - from);
        return begin + (end - begin) * Math.clamp(share, 0, 1);
    }

    /// Round values inside the axis: 1, 2 and 5 of each power of ten, or some eight steps of such a size.
    List<Double> ticks() {
        return logarithmic ? leadingDigits() : steps();
    }

    static String label(double value) {
        return value >= 1 || value == 0
                ? String.format(Locale.ROOT, "%,d", Math.round(value))
                : BigDecimal.valueOf(value).stripTrailingZeros().toPlainString();
    }

    private List<Double> leadingDigits() {
        var ticks = new ArrayList<Double>();
        for (int power = -4; power < 4; power++) {
            for (int digit : LEADING) {
                double tick = power < 0 ? digit / Math.pow(10, -power) : digit * Math.pow(10, power);
                if (tick >= from && tick <= to) {
                    ticks.add(tick);
                }
            }
        }
        return ticks;
    }

    private List<Double> steps() {
        double size = 1;
        for (int i = 0; (to - from) / size > LINEAR_TICKS; i++) {
            size = LEADING[(i + 1) % LEADING.length] * Math.pow(10, (i + 1) / LEADING.length);
        }
        var ticks = new ArrayList<Double>();
        for (double tick = Math.ceil(from / size) * size; tick <= to; tick += size) {
            ticks.add(tick);
        }
        return ticks;
    }
}
