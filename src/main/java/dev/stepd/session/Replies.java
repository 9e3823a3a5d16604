package dev.stepd.session;

import dev.stepd.engine.Layout;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.Narrowing;
import dev.stepd.tensor.Part;
import dev.stepd.tensor.SafetensorsMessage;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Map;

/// What steps answer, as it lies in the memory of the gradients: one f32 place for each element, of which tensors of two-byte
/// dtypes use the first half.
final class Replies {
    private final List<Layout.Place> places;
    private final boolean narrow;
    private final Expected flat;
    private final ByteBuffer header;

    /// @param flat the gradients' places
    Replies(List<Layout.Place> places, Expected flat) {
        this.places = places;
        this.flat = flat;
        this.narrow = places.stream().anyMatch(place -> place.tensor().dtype() != DType.F32);
        this.header = flat.header().framed();
    }

    /// Turns the values of tensors into the dtypes the session declares.
    void narrow(MemorySegment memory, BitSet present) {
        for (var place : places) {
            if (narrow && place.tensor().dtype() != DType.F32 && present.get(place.index())) {
                Narrowing.inPlace(place.tensor().dtype(), memory.asSlice(
                        place.offset() * Float.BYTES, place.elementCount() * Float.BYTES));
            }
        }
    }

    /// Every tensor in layout order. Where all are f32, one header for all such answers, and one segment.
    SafetensorsMessage whole(MemorySegment memory) {
        if (!narrow) {
            return new SafetensorsMessage(header, List.of(memory.asSlice(0, flat.byteCount())));
        }
        var everything = new BitSet();
        everything.set(0, places.size());
        return some(memory, everything);
    }

    SafetensorsMessage some(MemorySegment memory, BitSet present) {
        var parts = new ArrayList<Part>();
        for (var place : places) {
            if (present.get(place.index())) {
                var tensor = place.tensor();
                var data = memory.asSlice(
                        place.offset() * Float.BYTES, place.elementCount() * tensor.dtype().bytes());
                parts.add(new Part(tensor.name(), tensor.dtype(), tensor.shape(), data));
            }
        }
        return SafetensorsMessage.of(parts, Map.of());
    }
}
