package dev.stepd.session;

import dev.stepd.engine.BodyLayout;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/// The parts of a body's memory that some tensors and inputs take, in the order they lie in; neighbours are one.
final class Stretches {
    private Stretches() {}

    /// @param present tensors, by declared index
    /// @param given inputs, by their position
    static List<MemorySegment> of(BodyLayout body, BitSet present, BitSet given, MemorySegment memory) {
        var stretches = new ArrayList<MemorySegment>();
        tensors(body, present, 0, memory, stretches);
        for (int i = given.nextSetBit(0); i >= 0; i = given.nextSetBit(i + 1)) {
            var input = body.inputs().get(i);
            if (input.ofTensors()) {
                tensors(body, present, input.offset(), memory, stretches);
            } else {
                stretches.add(memory.asSlice(input.offset(), Float.BYTES));
            }
        }
        return stretches;
    }

    /// Fills the stretches with what they held when they were written end to end.
    static void fill(List<MemorySegment> stretches, MemorySegment flat) {
        long at = 0;
        for (var stretch : stretches) {
            MemorySegment.copy(flat, at, stretch, 0, stretch.byteSize());
            at += stretch.byteSize();
        }
    }

    private static void tensors(
            BodyLayout body, BitSet present, long offset, MemorySegment memory, List<MemorySegment> stretches) {
        long from = 0;
        long end = 0;
        for (var place : body.layout().places()) {
            if (present.get(place.index())) {
                long begin = place.offset() * Float.BYTES;
                if (begin != end) {
                    add(memory, offset + from, end - from, stretches);
                    from = begin;
                }
                end = begin + place.elementCount() * Float.BYTES;
            }
        }
        add(memory, offset + from, end - from, stretches);
    }

    private static void add(MemorySegment memory, long from, long bytes, List<MemorySegment> stretches) {
        if (bytes > 0) {
            stretches.add(memory.asSlice(from, bytes));
        }
    }
}
