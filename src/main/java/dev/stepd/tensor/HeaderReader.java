package dev.stepd.tensor;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/// Reads headers up to a length, and remembers the last one that was of use: a client sends the same header with
/// every step, and comparing it costs less than parsing it. Safe for concurrent use.
public final class HeaderReader {
    /// A header longer than this is parsed each time; what is remembered for good stays small.
    private static final int REMEMBERED_BYTES_MAX = 1 << 20;

    private record Known(byte[] json, SafetensorsHeader header) {}

    private final long limitBytes;
    private volatile @Nullable Known known;

    /// @param limitBytes longest header to read, at most 2^31-9
    public HeaderReader(long limitBytes) {
        this.limitBytes = Math.min(limitBytes, Integer.MAX_VALUE - 8);
    }

    public long limitBytes() {
        return limitBytes;
    }

    /// The same instance again when the bytes are those of the header remembered.
    SafetensorsHeader read(byte[] json, int length) {
        var last = known;
        return last != null && Arrays.equals(last.json, 0, last.json.length, json, 0, length)
                ? last.header
                : HeaderJson.parse(json, length);
    }

    /// Declares a header accepted.
    void remember(byte[] json, int length, SafetensorsHeader header) {
        var last = known;
        if (length <= REMEMBERED_BYTES_MAX && (last == null || last.header != header)) {
            known = new Known(Arrays.copyOf(json, length), header);
        }
    }
}
