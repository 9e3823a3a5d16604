package dev.stepd.tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/// Turns F32 into F16 or BF16 in place, where every value is one of the narrower dtype: nothing is rounded.
///
/// Through small arrays that stay in the first-level cache, as [Widening].
public final class Narrowing {
    private static final int BLOCK = 2048;
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt BITS = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private Narrowing() {}

    /// @param dtype F16 or BF16
    /// @param values F32; their first half holds the narrow ones afterwards
    public static void inPlace(DType dtype, MemorySegment values) {
        var wide = new int[BLOCK];
        var narrow = new short[BLOCK];
        long count = values.byteSize() / Float.BYTES;
        for (long at = 0; at < count; at += BLOCK) {
            int block = (int) Math.min(BLOCK, count - at);
            MemorySegment.copy(values, BITS, at * Float.BYTES, wide, 0, block);
            for (int i = 0; i < block; i++) {
                narrow[i] = dtype == DType.BF16
                        ? (short) (wide[i] >>> 16)
                        : Float.floatToFloat16(Float.intBitsToFloat(wide[i]));
            }
            MemorySegment.copy(narrow, 0, values, SHORT, at * Short.BYTES, block);
        }
    }
}
