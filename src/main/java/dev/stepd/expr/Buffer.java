package dev.stepd.expr;

/// A named array that a program reads or writes: one value for each index of its scope.
///
/// @param storage how a value lies in memory; a program that computes in another type converts
public record Buffer(Kind kind, String name, Scope scope, Type storage) {
    public Buffer {
        if (storage == Type.I4 && !scope.isElement()) {
            throw new IllegalStateException(name + " of " + scope + " cannot be " + storage);
        }
    }

    /// Who provides the array.
    public enum Kind {
        /// The gradient on the way in.
        GRAD,
        /// The delta on the way out; shares the gradient's memory.
        DELTA,
        /// Parameter values.
        PARAM,
        /// A further array of the request, such as a Hessian diagonal.
        INPUT,
        /// Optimizer state.
        SLOT,
        /// Values the host computes before the step, one for each tensor or for the session.
        HOST,
        /// How many elements each index covers.
        EXTENT,
        /// A value passed from one stage to a later one.
        TEMP,
        /// A number the step reports.
        METRIC
    }

    @Override
    public String toString() {
        return switch (kind) {
            case GRAD, DELTA, PARAM -> kind.name().toLowerCase(java.util.Locale.ROOT);
            case SLOT -> name;
            case INPUT -> "input:" + name;
            case HOST -> "host:" + name;
            case EXTENT -> "count(" + scope + ")";
            case TEMP -> "%" + name;
            case METRIC -> "metric:" + name;
        };
    }
}
