package dev.stepd.expr;

/// The order in which reductions add, part of every program's meaning, chosen so that vector lanes, threads and GPU
/// warps can all follow it exactly.
///
/// A run of values (the elements of a tensor, row or block; the tensors of a group) is cut into chunks of [#CHUNK].
/// In a chunk, value `i` joins lane `i % LANES`, lanes starting from the identity; then the upper half of the lanes
/// joins the lower half until one is left. Chunks join pairwise, neighbours first, level by level; an odd last one moves
/// up as it is. Columns have no lanes: chunks of [#COLUMN_CHUNK] rows are joined row after row, then chunks pairwise.
public final class Order {
    /// Partial results a chunk is gathered in.
    public static final int LANES = 16;
    /// Values of a run that one chunk takes.
    public static final int CHUNK = 1024;
    /// Rows that one chunk of a column takes.
    public static final int COLUMN_CHUNK = 64;

    private Order() {}

    /// Values by position.
    @FunctionalInterface
    public interface Values {
        double at(int index);
    }

    /// How many chunks a run of `count` values has; an empty run has one.
    public static long chunks(long count) {
        return Math.max(1, Math.ceilDiv(count, CHUNK));
    }

    /// Reduces a run of values: the reference for what kernels do in parallel.
    public static double reduce(ReduceOp op, int count, Values values) {
        var partials = new double[(int) chunks(count)];
        for (int chunk = 0; chunk < partials.length; chunk++) {
            var lanes = new double[LANES];
            java.util.Arrays.fill(lanes, op.identity());
            int end = Math.min(count, (chunk + 1) * CHUNK);
            for (int i = chunk * CHUNK; i < end; i++) {
                lanes[i % LANES] = op.join(lanes[i % LANES], values.at(i));
            }
            for (int half = LANES / 2; half > 0; half /= 2) {
                for (int lane = 0; lane < half; lane++) {
                    lanes[lane] = op.join(lanes[lane], lanes[lane + half]);
                }
            }
            partials[chunk] = lanes[0];
        }
        return joinPairwise(op, partials, partials.length);
    }

    /// Reduces the values of one column.
    public static double reduceColumn(ReduceOp op, int rows, Values values) {
        var partials = new double[Math.max(1, Math.ceilDiv(rows, COLUMN_CHUNK))];
        for (int chunk = 0; chunk < partials.length; chunk++) {
            double partial = op.identity();
            for (int row = chunk * COLUMN_CHUNK; row < Math.min(rows, (chunk + 1) * COLUMN_CHUNK); row++) {
                partial = op.join(partial, values.at(row));
            }
            partials[chunk] = partial;
        }
        return joinPairwise(op, partials, partials.length);
    }

    /// Joins the first `count` partials in place, neighbours first. At least one.
    public static double joinPairwise(ReduceOp op, double[] partials, int count) {
        for (int left = count; left > 1; left = (left + 1) / 2) {
            for (int i = 0; i < left / 2; i++) {
                partials[i] = op.join(partials[2 * i], partials[2 * i + 1]);
            }
            if (left % 2 == 1) {
                partials[left / 2] = partials[left - 1];
            }
        }
        return partials[0];
    }
}
