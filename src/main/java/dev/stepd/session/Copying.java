package dev.stepd.session;

import dev.stepd.tensor.Part;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// Moves arrays between the places where they are kept.
final class Copying {
    private Copying() {}

    /// Copies the parts end to end into `flat`.
    static void gather(List<Part> parts, MemorySegment flat) {
        long offset = 0;
        for (var part : parts) {
            MemorySegment.copy(part.data(), 0, flat, offset, part.data().byteSize());
            offset += part.data().byteSize();
        }
    }

    /// Copies each of `sources` to the target of its key; targets without a source stay.
    static void scatter(List<Part> sources, List<Part> targets) {
        Map<String, Part> byKey = new HashMap<>();
        targets.forEach(target -> byKey.put(target.key(), target));
        for (var source : sources) {
            byKey.get(source.key()).data().copyFrom(source.data());
        }
    }
}
