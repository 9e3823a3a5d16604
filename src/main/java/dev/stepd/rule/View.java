package dev.stepd.rule;

import dev.stepd.tensor.Shape;
import dev.stepd.tensor.TensorSpec;
import java.util.List;

/// How a rule looks at a tensor: what it is to the rule, and the matrices it is read as.
///
/// @param kind tensors of one kind take the same step and keep the same slots; empty where a rule treats all alike
/// @param slabs matrices that lie one after the other
/// @param rows of each matrix
public record View(String kind, long slabs, long rows) {
    /// A tensor of at least two dimensions.
    static final String MATRIX = "matrix";
    /// A tensor of fewer.
    static final String VECTOR = "vector";

    static final List<String> MATRICES_AND_VECTORS = List.of(MATRIX, VECTOR);

    /// One matrix `[extents[0], rest]`; a tensor of fewer than two dimensions is one row.
    public static View of(Shape shape) {
        return new View("", 1, shape.rows());
    }

    /// The same, told apart by the number of dimensions.
    static List<View> matricesAndVectors(List<TensorSpec> tensors) {
        return tensors.stream()
                .map(tensor -> View.of(tensor.shape()).as(isMatrix(tensor.shape()) ? MATRIX : VECTOR))
                .toList();
    }

    static boolean isMatrix(Shape shape) {
        return shape.extents().size() > 1;
    }

    View as(String kind) {
        return new View(kind, slabs, rows);
    }
}
