package dev.stepd.session;

import dev.stepd.tensor.SafetensorsHeader;
import dev.stepd.tensor.SafetensorsHeader.Entry;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.function.Consumer;

/// Takes the bytes of a state end to end, hands each array's on, and computes the digest of all.
final class Unpacking implements Consumer<MemorySegment> {
    /// Where the bytes of arrays go.
    interface Places {
        /// @param offset of the first byte, in the array
        void put(Entry array, long offset, MemorySegment bytes);
    }

    private final List<Entry> arrays;
    private final Places places;
    private final StateDigest digest;
    private int current = -1;
    private long left;

    Unpacking(SafetensorsHeader manifest, long step, List<Long> tensorSteps, Places places) {
        this.arrays = manifest.entries();
        this.places = places;
        this.digest = new StateDigest(step, tensorSteps);
        advance();
    }

    @Override
    public void accept(MemorySegment bytes) {
        for (long at = 0; at < bytes.byteSize(); ) {
            var array = arrays.get(current);
            long count = Math.min(left, bytes.byteSize() - at);
            var piece = bytes.asSlice(at, count);
            digest.update(piece);
            places.put(array, array.byteCount() - left, piece);
            left -= count;
            at += count;
            advance();
        }
    }

    /// The array that the next byte belongs to; empty behind the last.
    String array() {
        return current < arrays.size() ? arrays.get(current).key() : "";
    }

    /// The digest of a state that came whole.
    String digest() {
        if (current < arrays.size()) {
            throw new IllegalStateException("the state ends in array " + array());
        }
        return digest.finish();
    }

    /// Goes on to the next array that has a byte to come.
    private void advance() {
        while (left == 0 && current < arrays.size()) {
            current++;
            if (current < arrays.size()) {
                var next = arrays.get(current);
                digest.begin(next.key(), next.dtype(), next.shape());
                left = next.byteCount();
            }
        }
    }
}
