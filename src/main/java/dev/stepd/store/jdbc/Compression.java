package dev.stepd.store.jdbc;

import io.airlift.compress.MalformedInputException;
import io.airlift.compress.zstd.ZstdCompressor;
import io.airlift.compress.zstd.ZstdDecompressor;
import java.util.OptionalInt;

/// What chunks are compressed by, if they gain enough: f32 values hardly do, codes of fewer bits and zeros do. For one thread.
final class Compression {
    /// In percent of the plain bytes: more is not worth decompressing.
    private static final int WORTH_PERCENT = 90;
    /// Chunks longer than this are judged by a sample before all of one is compressed.
    private static final int SAMPLED_BYTES = 512 << 10;
    private static final int SAMPLES = 8;
    private static final int SAMPLE_BYTES = 16 << 10;

    private final ZstdCompressor zstd = new ZstdCompressor();
    private byte[] compressed = new byte[0];

    /// Compresses the first bytes of `plain` into [#compressed], if that is worth it.
    ///
    /// @return how many they are then
    OptionalInt compress(byte[] plain, int length) {
        if (length > SAMPLED_BYTES && !isWorth(compressInto(sample(plain, length), SAMPLES * SAMPLE_BYTES), SAMPLES * SAMPLE_BYTES)) {
            return OptionalInt.empty();
        }
        int count = compressInto(plain, length);
        return isWorth(count, length) ? OptionalInt.of(count) : OptionalInt.empty();
    }

    /// Of the last [#compress].
    byte[] compressed() {
        return compressed;
    }

    private static boolean isWorth(int count, int length) {
        return count <= (long) length * WORTH_PERCENT / 100;
    }

    /// From all over the chunk: it may hold several arrays.
    private static byte[] sample(byte[] plain, int length) {
        var sample = new byte[SAMPLES * SAMPLE_BYTES];
        for (int i = 0; i < SAMPLES; i++) {
            System.arraycopy(plain, length / SAMPLES * i, sample, i * SAMPLE_BYTES, SAMPLE_BYTES);
        }
        return sample;
    }

    private int compressInto(byte[] plain, int length) {
        int room = zstd.maxCompressedLength(length);
        if (compressed.length < room) {
            compressed = new byte[room];
        }
        return zstd.compress(plain, 0, length, compressed, 0, compressed.length);
    }

    /// Whether the first bytes of `data` decompress to exactly the first of `plain`.
    static boolean decompress(byte[] data, int stored, byte[] plain, int length) {
        try {
            return new ZstdDecompressor().decompress(data, 0, stored, plain, 0, length) == length;
        } catch (MalformedInputException e) {
            return false;
        }
    }
}
