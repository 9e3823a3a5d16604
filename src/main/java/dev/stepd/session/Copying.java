package dev.stepd.session;

import dev.stepd.device.Array;
import dev.stepd.device.HostArray;
import dev.stepd.engine.StatePart;
import dev.stepd.tensor.Part;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/// Moves arrays between where they live and main memory.
final class Copying {
    private static final long BUFFER_BYTES = 4 << 20;

    private Copying() {}

    /// Copies the parts end to end into `flat`.
    static void gather(List<StatePart> parts, MemorySegment flat) {
        long offset = 0;
        for (var part : parts) {
            long bytes = part.array().byteSize();
            part.array().read(0, flat.asSlice(offset, bytes));
            offset += bytes;
        }
    }

    /// Copies each of `sources` to the target of its key; targets without a source stay.
    static void scatter(List<Part> sources, List<StatePart> targets) {
        Map<String, StatePart> byKey = new HashMap<>();
        targets.forEach(target -> byKey.put(target.key(), target));
        for (var source : sources) {
            byKey.get(source.key()).array().write(0, source.data());
        }
    }

    /// The same, so many bytes at most at a time.
    static void show(Array array, long atOnce, Consumer<MemorySegment> bytes) {
        show(array, all -> {
            for (long at = 0; at < all.byteSize(); at += atOnce) {
                bytes.accept(all.asSlice(at, Math.min(atOnce, all.byteSize() - at)));
            }
        });
    }

    /// Shows all of an array's bytes in order: where they are if the host addresses them, else piece by piece in memory that is used
    /// again and again.
    static void show(Array array, Consumer<MemorySegment> bytes) {
        if (array instanceof HostArray(var segment)) {
            bytes.accept(segment);
            return;
        }
        try (var arena = Arena.ofConfined()) {
            long all = array.byteSize();
            var buffer = arena.allocate(Math.min(BUFFER_BYTES, all), Long.BYTES);
            for (long at = 0; at < all; at += buffer.byteSize()) {
                var piece = buffer.asSlice(0, Math.min(buffer.byteSize(), all - at));
                array.read(at, piece);
                bytes.accept(piece);
            }
        }
    }
}
