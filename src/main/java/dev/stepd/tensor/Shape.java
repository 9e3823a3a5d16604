package dev.stepd.tensor;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import java.util.List;

/// The extents of a tensor, outermost first. `[]` is one element, a zero extent is none.
public record Shape(List<Long> extents) {
    /// @throws ServiceException [ErrorCode#INVALID_VALUE] on a negative extent or a product beyond 2^63-1
    public Shape {
        extents = List.copyOf(extents);
        product(extents);
    }

    public static Shape of(long... extents) {
        return new Shape(java.util.Arrays.stream(extents).boxed().toList());
    }

    /// Number of elements; 1 for `[]`.
    public long elementCount() {
        return product(extents);
    }

    /// Rows of the matrix view `[extents[0], rest]`; a tensor of fewer than two dimensions is one row.
    public long rows() {
        return extents.size() < 2 ? 1 : extents.getFirst();
    }

    /// Columns of the matrix view: the elements of one row.
    public long columns() {
        return extents.size() < 2 ? elementCount() : product(extents.subList(1, extents.size()));
    }

    private static long product(List<Long> extents) {
        long product = 1;
        boolean overflow = false;
        boolean zero = false;
        for (long extent : extents) {
            if (extent < 0) {
                throw new ServiceException(ErrorCode.INVALID_VALUE,
                        "shape " + extents + " has the negative extent " + extent);
            }
            zero |= extent == 0;
            overflow |= Math.multiplyHigh(product, extent) != 0 || product * extent < 0;
            product *= extent;
        }
        if (overflow && !zero) {
            throw new ServiceException(ErrorCode.INVALID_VALUE, "shape " + extents + " has more than 2^63-1 elements");
        }
        return zero ? 0 : product;
    }

    @Override
    public String toString() {
        return extents.toString();
    }
}
