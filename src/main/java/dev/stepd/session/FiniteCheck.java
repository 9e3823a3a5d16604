package dev.stepd.session;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.tensor.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/// Looks for NaN and infinity in memory.
///
/// In blocks through a small array, for loops over arrays become vector code.
final class FiniteCheck {
    private static final int BLOCK = 4096;
    private static final int EXPONENT = 0x7f800000;
    private static final ValueLayout.OfInt BITS = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private static final ValueLayout.OfShort SHORTS =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private FiniteCheck() {}

    /// @throws ServiceException `NON_FINITE` naming the first element that is not finite
    ///
    /// @param dtype F32, F16 or BF16
    static void require(String what, DType dtype, MemorySegment floats) {
        var bits = new int[BLOCK];
        var shorts = new short[BLOCK];
        long count = floats.byteSize() / dtype.bytes();
        for (long at = 0; at < count; at += BLOCK) {
            int block = (int) Math.min(BLOCK, count - at);
            if (dtype == DType.F32) {
                MemorySegment.copy(floats, BITS, at * Float.BYTES, bits, 0, block);
            } else {
                MemorySegment.copy(floats, SHORTS, at * Short.BYTES, shorts, 0, block);
                widen(dtype, shorts, bits, block);
            }
            if (!allFinite(bits, block)) {
                throw nonFinite(what, bits, at);
            }
        }
    }

    private static void widen(DType dtype, short[] from, int[] to, int count) {
        for (int i = 0; i < count; i++) {
            to[i] = dtype == DType.BF16
                    ? from[i] << 16
                    : Float.floatToRawIntBits(Float.float16ToFloat(from[i]));
        }
    }

    private static boolean allFinite(int[] bits, int count) {
        // the exponent of NaN and infinity is the largest there is
        int largest = 0;
        for (int i = 0; i < count; i++) {
            largest = Math.max(largest, bits[i] & EXPONENT);
        }
        return largest < EXPONENT;
    }

    private static ServiceException nonFinite(String what, int[] bits, long at) {
        int i = 0;
        while ((bits[i] & EXPONENT) != EXPONENT) {
            i++;
        }
        return new ServiceException(ErrorCode.NON_FINITE, what + " holds " + Float.intBitsToFloat(bits[i]) + " at index "
                + (at + i) + ", expected finite values");
    }
}
