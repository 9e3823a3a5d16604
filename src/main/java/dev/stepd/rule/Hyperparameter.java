package dev.stepd.rule;

import java.util.List;
import java.util.OptionalDouble;

/// Something the user sets on an optimizer, under PyTorch's name for it.
public sealed interface Hyperparameter {
    String name();

    String meaning();

    /// A number, possibly different by group and changed by a schedule.
    ///
    /// @param off what `null` means, where the option can be turned off: 0, or infinity where 0 is a value like others
    record Real(String name, String meaning, double initial, Range range, OptionalDouble off)
            implements Hyperparameter {}

    /// A switch; the same for the whole session, since it decides what the program is.
    record Flag(String name, String meaning, boolean initial) implements Hyperparameter {}

    /// One of several forms; the same for the whole session.
    record Choice(String name, String meaning, String initial, List<String> values) implements Hyperparameter {
        public Choice {
            values = List.copyOf(values);
        }
    }

    /// Bounds of a number.
    ///
    /// @param maxIncluded whether `max` itself is allowed; `min` always is
    record Range(double min, double max, boolean maxIncluded) {
        static final Range NON_NEGATIVE = new Range(0, Double.MAX_VALUE, true);
        /// Of what is divided by.
        static final Range POSITIVE = new Range(Double.MIN_VALUE, Double.MAX_VALUE, true);
        /// Of a decay rate: 1 would never forget.
        static final Range DECAY = new Range(0, 1, false);
        static final Range UNIT = new Range(0, 1, true);

        public boolean contains(double value) {
            return value >= min && (maxIncluded ? value <= max : value < max);
        }

        @Override
        public String toString() {
            if (min == Double.MIN_VALUE && max == Double.MAX_VALUE) {
                return "above 0";
            }
            if (max == Double.MAX_VALUE) {
                return "at least " + show(min);
            }
            return "from " + show(min) + " to " + (maxIncluded ? "" : "below ") + show(max);
        }

        private static String show(double bound) {
            return bound == Math.rint(bound) ? Long.toString((long) bound) : Double.toString(bound);
        }
    }
}
