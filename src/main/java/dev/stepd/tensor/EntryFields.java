package dev.stepd.tensor;

import dev.stepd.error.ServiceException;
import dev.stepd.tensor.SafetensorsHeader.Entry;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// The fields of one tensor of a header while they are read, in whatever order they stand.
final class EntryFields {
    private final String key;
    @Nullable String dtype;
    @Nullable List<Long> shape;
    @Nullable List<Long> offsets;

    EntryFields(String key) {
        this.key = key;
    }

    /// The entry, once every field is there and the length fits shape and dtype.
    Entry entry() {
        var what = HeaderJson.named(key);
        if (dtype == null || shape == null || offsets == null) {
            throw HeaderJson.malformed(what + " lacks "
                    + (dtype == null ? "dtype" : shape == null ? "shape" : "data_offsets"));
        }
        if (offsets.size() != 2) {
            throw HeaderJson.malformed(what + " data_offsets has " + offsets.size() + " numbers, expected 2");
        }
        long begin = offsets.getFirst();
        long end = offsets.getLast();
        if (end < begin) {
            throw HeaderJson.malformed(what + " ends at byte " + end + ", before it begins at " + begin);
        }
        var type = DType.of(what, dtype);
        long expected = byteCount(what, type);
        if (end - begin != expected) {
            throw HeaderJson.malformed(what + " has " + (end - begin) + " bytes of data, " + type + " " + shape + " needs "
                    + expected);
        }
        return new Entry(key, type, new Shape(shape), begin, end);
    }

    private long byteCount(String what, DType type) {
        try {
            return Math.multiplyExact(new Shape(shape).elementCount(), (long) type.bytes());
        } catch (ServiceException | ArithmeticException e) {
            throw HeaderJson.malformed(what + ": " + type + " " + shape + " has more than 2^63-1 bytes", e);
        }
    }
}
