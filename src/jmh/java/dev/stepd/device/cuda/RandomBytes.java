package dev.stepd.device.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;

/// What memory holds while it is copied for measurement: zeros may be faster than anything real.
final class RandomBytes {
    private static final int PIECE_BYTES = 1 << 20;

    private RandomBytes() {}

    static void fill(CudaArray array) {
        var random = new SplittableRandom(1);
        try (var arena = Arena.ofConfined()) {
            var piece = arena.allocate(PIECE_BYTES, 64);
            for (long at = 0; at < PIECE_BYTES; at += Long.BYTES) {
                piece.set(ValueLayout.JAVA_LONG, at, random.nextLong());
            }
            for (long at = 0; at < array.byteSize(); at += PIECE_BYTES) {
                array.write(at, piece.asSlice(0, Math.min(PIECE_BYTES, array.byteSize() - at)));
            }
        }
    }
}
