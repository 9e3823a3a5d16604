package dev.stepd.rule;

import dev.stepd.error.Fields;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.stream.IntStream;

/// Something the user sets on an optimizer, under PyTorch's name for it.
public sealed interface Hyperparameter {
    String name();

    String meaning();

    /// A number, possibly different by group and changed by a schedule.
    ///
    /// @param off what `null` means, where the option can be turned off: 0, or infinity where 0 is a value like others
    record Real(String name, String meaning, double initial, Range range, OptionalDouble off)
            implements Hyperparameter {
        /// The number as it came.
        ///
        /// @param otherwise what it is when none is given
        /// @throws dev.stepd.error.ServiceException `INVALID_VALUE` naming the range it is out of
        double read(Fields fields, double otherwise) {
            if (fields.nulled(name)) {
                return off.orElseThrow(() -> fields.missing(name));
            }
            var given = fields.number(name);
            given.filter(value -> !range.contains(value))
                    .ifPresent(value -> fields.refuse(name, value, "a number " + range));
            return given.orElse(otherwise);
        }

        /// The same under another name.
        Real named(String other) {
            return new Real(other, meaning, initial, range, off);
        }
    }

    /// A whole number that decides what the program is; the same for the whole session.
    record Count(String name, String meaning, int initial, int min, int max) implements Hyperparameter {
        /// The number as it came.
        ///
        /// @throws dev.stepd.error.ServiceException `INVALID_VALUE`
        int read(Fields fields) {
            if (fields.nulled(name)) {
                throw fields.missing(name);
            }
            long given = fields.integer(name, min).orElse((long) initial);
            return given <= max ? (int) given : fields.<Integer>refuse(name, given, "at most " + max);
        }
    }

    /// A list of numbers, as many as the user gives. How many there are is the same for the whole session, since it decides what
    /// the program is; each of them is a number like others, called `name[i]`.
    ///
    /// @param initial what the list is when none is given
    /// @param range of each number
    /// @param maxLength how many numbers there may be; one is the least
    record Numbers(String name, String meaning, List<Double> initial, Range range, int maxLength)
            implements Hyperparameter {
        public Numbers {
            initial = List.copyOf(initial);
        }

        /// What the `i`-th number is called.
        static String element(String list, int i) {
            return list + "[" + i + "]";
        }

        /// The numbers of a list, one by one.
        List<Real> elements(List<Double> values) {
            return IntStream.range(0, values.size())
                    .mapToObj(i -> new Real(element(name, i), meaning, values.get(i), range, OptionalDouble.empty()))
                    .toList();
        }

        /// The list as it came, absent when there is none.
        ///
        /// @throws dev.stepd.error.ServiceException `INVALID_VALUE` naming the number that is out of range
        Optional<List<Double>> read(Fields fields) {
            if (fields.nulled(name)) {
                throw fields.missing(name);
            }
            if (!fields.has(name)) {
                return Optional.empty();
            }
            var given = fields.array(name);
            if (given.isEmpty() || given.size() > maxLength) {
                fields.refuse(name, given, "an array of 1 to " + maxLength + " numbers");
            }
            var values = new ArrayList<Double>();
            for (Object value : given) {
                if (!(value instanceof Number number) || !range.contains(number.doubleValue())) {
                    return fields.refuse(element(name, values.size()), value, "a number " + range);
                }
                values.add(number.doubleValue());
            }
            return Optional.of(values);
        }
    }

    /// A switch; the same for the whole session, since it decides what the program is.
    record Flag(String name, String meaning, boolean initial) implements Hyperparameter {
        /// The switch as it came.
        boolean read(Fields fields) {
            return fields.bool(name).orElse(initial);
        }
    }

    /// One of several forms; the same for the whole session.
    ///
    /// @param orWhole whether a whole number other than 0 may stand instead, of either sign
    record Choice(String name, String meaning, String initial, List<String> values, boolean orWhole)
            implements Hyperparameter {
        public Choice {
            values = List.copyOf(values);
        }

        /// The form as it came, a whole number as a [Long].
        Object read(Fields fields) {
            if (orWhole && fields.value(name).orElse(null) instanceof Number number) {
                if (number.doubleValue() == 0 || number.doubleValue() != number.longValue()) {
                    fields.refuse(name, number, "a whole number other than 0, or one of " + values);
                }
                return number.longValue();
            }
            var given = fields.string(name).orElse(initial);
            if (!values.contains(given)) {
                fields.refuse(name, "\"" + given + "\"",
                        "one of " + values + (orWhole ? " or a whole number other than 0" : ""));
            }
            return given;
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
        /// Of a factor that never shrinks.
        static final Range GROWTH = new Range(1, Double.MAX_VALUE, true);
        /// Of a share that neither side may miss.
        static final Range INSIDE = new Range(Double.MIN_VALUE, 1, false);

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
            if (min == Double.MIN_VALUE) {
                return "above 0 and " + (maxIncluded ? "at most " : "below ") + show(max);
            }
            return "from " + show(min) + " to " + (maxIncluded ? "" : "below ") + show(max);
        }

        private static String show(double bound) {
            return bound == Math.rint(bound) ? Long.toString((long) bound) : Double.toString(bound);
        }
    }
}
