package dev.stepd.device.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// Rows of a table for kernels, in main memory and in the layout of the structs of `prelude.cuh`.
final class Table {
    static final int TILE_BYTES = 64;
    private static final int COUNT_OFFSET = 40;
    static final int JOIN_BYTES = 40;
    static final int TENSOR_BYTES = 64;

    private final int rowBytes;
    private MemorySegment memory = MemorySegment.NULL;
    private int count;
    private long at;

    Table(int rowBytes) {
        this.rowBytes = rowBytes;
    }

    int count() {
        return count;
    }

    long byteSize() {
        return (long) count * rowBytes;
    }

    MemorySegment rows() {
        return memory.asSlice(0, byteSize());
    }

    /// The first index of a tile.
    long first(int tile) {
        return memory.get(ValueLayout.JAVA_LONG, (long) tile * rowBytes);
    }

    /// The index behind the last of a tile.
    long end(int tile) {
        return first(tile) + memory.get(ValueLayout.JAVA_INT, (long) tile * rowBytes + COUNT_OFFSET);
    }

    private void row() {
        at = byteSize();
        count = Math.addExact(count, 1);
        if (byteSize() > memory.byteSize()) {
            var larger = Arena.ofAuto().allocate(Math.max(2 * memory.byteSize(), 16L * rowBytes), Long.BYTES);
            MemorySegment.copy(memory, 0, larger, 0, at);
            memory = larger;
        }
    }

    private void put(long value) {
        memory.set(ValueLayout.JAVA_LONG, at, value);
        at += Long.BYTES;
    }

    private void put(int value) {
        memory.set(ValueLayout.JAVA_INT, at, value);
        at += Integer.BYTES;
    }

    void tile(
            long first, long within, long target, long length, long end, int runs, int tensor, int lead, int chunk, int chunks,
            boolean partial) {
        row();
        put(first);
        put(within);
        put(target);
        put(length);
        put(end);
        put(runs);
        put(tensor);
        put(lead);
        put(chunk);
        put(chunks);
        put(partial ? 1 : 0);
    }

    void join(long from, long stride, long parts, long target, long width) {
        row();
        put(from);
        put(stride);
        put(parts);
        put(target);
        put(width);
    }

    void tensor(long elements, long rows, long columns, long element, long row, long column, long group, long origin) {
        row();
        put(elements);
        put(rows);
        put(columns);
        put(element);
        put(row);
        put(column);
        put(group);
        put(origin);
    }

    void number(long value) {
        row();
        put(value);
    }
}
