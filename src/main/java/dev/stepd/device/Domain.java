package dev.stepd.device;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import java.util.List;

/// What the values of each scope stand for: the tensors of a session in flat order.
public record Domain(List<Tensor> tensors, int groups) {
    /// @param slabs matrices the tensor is seen as, one after the other: usually one
    /// @param rows of each matrix
    /// @param group the tensor's group; groups follow each other in flat order
    /// @param origin elements of the tensors that the session declares before it
    public record Tensor(long elements, long slabs, long rows, int group, long origin) {
        /// Columns of each matrix.
        public long columns() {
            return slabs * rows == 0 ? 0 : elements / (slabs * rows);
        }

        /// How many values of a scope belong to this tensor.
        public long count(Scope scope) {
            return switch (scope.kind()) {
                case ELEMENT -> elements;
                case ROW -> slabs * rows;
                case COLUMN -> slabs * columns();
                case BLOCK -> Math.ceilDiv(elements, scope.size());
                case TENSOR -> 1;
                case GROUP, SESSION -> throw new IllegalStateException("no tensor has a part of a " + scope);
            };
        }
    }

    public Domain {
        tensors = List.copyOf(tensors);
    }

    /// How many values of a scope there are.
    public long count(Scope scope) {
        return switch (scope.kind()) {
            case SESSION -> 1;
            case GROUP -> groups;
            case TENSOR, ROW, COLUMN, BLOCK, ELEMENT -> starts(scope)[tensors.size()];
        };
    }

    /// Bytes of an array with a value for each index of a buffer's scope.
    public long bytes(Buffer buffer) {
        return buffer.storage() == Type.I4
                ? byteStarts(buffer)[tensors.size()]
                : buffer.storage().bytes(count(buffer.scope()));
    }

    /// Where each tensor's values begin in such an array, and past the last tensor's last.
    public long[] byteStarts(Buffer buffer) {
        var starts = new long[tensors.size() + 1];
        for (int i = 0; i < tensors.size(); i++) {
            long bytes = buffer.storage().bytes(tensors.get(i).count(buffer.scope()));
            starts[i + 1] = Math.addExact(starts[i], bytes);
        }
        return starts;
    }

    /// The index of each tensor's first value of a scope, and past the last tensor's last.
    public long[] starts(Scope scope) {
        var starts = new long[tensors.size() + 1];
        for (int i = 0; i < tensors.size(); i++) {
            starts[i + 1] = Math.addExact(starts[i], tensors.get(i).count(scope));
        }
        return starts;
    }
}
