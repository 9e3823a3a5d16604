package dev.stepd.rule;

import dev.stepd.tensor.Shape;

/// How a rule looks at a tensor: what it is to the rule, and the matrices it is read as.
///
/// @param kind tensors of one kind take the same step and keep the same slots; empty where a rule treats all alike
/// @param slabs matrices that lie one after the other
/// @param rows of each matrix
public record View(String kind, long slabs, long rows) {
    /// One matrix `[extents[0], rest]`; a tensor of fewer than two dimensions is one row.
    public static View of(Shape shape) {
        return new View("", 1, shape.rows());
    }

    /// One matrix of this many rows.
    static View matrix(String kind, long rows) {
        return new View(kind, 1, rows);
    }
}
