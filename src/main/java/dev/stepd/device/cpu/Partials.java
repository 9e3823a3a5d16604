package dev.stepd.device.cpu;

import dev.stepd.expr.Order;
import dev.stepd.expr.ReduceOp;
import dev.stepd.expr.Type;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// Single values in memory: partial results of folds, f32 or f64 as what is folded, and bytes that hold half of nothing.
final class Partials {
    private static final MemorySegment ALL = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

    private Partials() {}

    /// Joins partial results in place, neighbours first, as [Order#joinPairwise].
    static double joinPairwise(ReduceOp op, Type type, long from, long stride, long count) {
        for (long left = count; left > 1; left = (left + 1) / 2) {
            for (long i = 0; i < left / 2; i++) {
                double a = get(type, from + 2 * i * stride);
                double b = get(type, from + (2 * i + 1) * stride);
                set(type, from + i * stride, op.join(a, b));
            }
            if (left % 2 == 1) {
                set(type, from + left / 2 * stride, get(type, from + (left - 1) * stride));
            }
        }
        return get(type, from);
    }

    static double get(Type type, long address) {
        return type == Type.F32 ? ALL.get(ValueLayout.JAVA_FLOAT, address) : ALL.get(ValueLayout.JAVA_DOUBLE, address);
    }

    static void set(Type type, long address, double value) {
        if (type == Type.F32) {
            ALL.set(ValueLayout.JAVA_FLOAT, address, (float) value);
        } else {
            ALL.set(ValueLayout.JAVA_DOUBLE, address, value);
        }
    }

    /// The half of a tensor's last byte that is no value's is zero.
    static void pad(long address) {
        ALL.set(ValueLayout.JAVA_BYTE, address, (byte) (ALL.get(ValueLayout.JAVA_BYTE, address) & 0xf0));
    }
}
