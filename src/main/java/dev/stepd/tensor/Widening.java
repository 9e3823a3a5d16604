package dev.stepd.tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/// Turns F16 and BF16 as they arrive into F32 in place. Exact: every value of either is a value of F32.
///
/// Goes through two small arrays that stay in the first-level cache, because the compiler turns loops over arrays
/// into vector code and loops over segments not. An element may be split between two calls.
final class Widening {
    private static final int BLOCK = 2048;
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt BITS = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final short[] narrow = new short[BLOCK];
    private final float[] floats = new float[BLOCK];
    private final int[] bits = new int[BLOCK];
    private int firstByte;

    static boolean from(DType dtype) {
        return dtype == DType.F16 || dtype == DType.BF16;
    }

    /// @param dtype F16 or BF16, of `source`
    /// @param offset bytes of this tensor that came before
    /// @param target the whole F32 tensor
    void put(DType dtype, MemorySegment source, long offset, MemorySegment target) {
        long taken = 0;
        if (offset % 2 != 0) {
            narrow[0] = (short) (firstByte | source.get(ValueLayout.JAVA_BYTE, 0) << 8);
            widen(dtype, 1, target, (offset - 1) * 2);
            taken = 1;
        }
        while (source.byteSize() - taken >= 2) {
            int count = (int) Math.min(BLOCK, (source.byteSize() - taken) / 2);
            MemorySegment.copy(source, SHORT, taken, narrow, 0, count);
            widen(dtype, count, target, (offset + taken) * 2);
            taken += 2L * count;
        }
        if (taken < source.byteSize()) {
            firstByte = source.get(ValueLayout.JAVA_BYTE, taken) & 0xff;
        }
    }

    private void widen(DType dtype, int count, MemorySegment target, long offset) {
        if (dtype == DType.BF16) {
            // as integers: the compiler makes no vector code of the move from int to float
            for (int i = 0; i < count; i++) {
                bits[i] = narrow[i] << 16;
            }
            MemorySegment.copy(bits, 0, target, BITS, offset, count);
        } else {
            for (int i = 0; i < count; i++) {
                floats[i] = Float.float16ToFloat(narrow[i]);
            }
            MemorySegment.copy(floats, 0, target, FLOAT, offset, count);
        }
    }
}
