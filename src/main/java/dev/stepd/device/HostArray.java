package dev.stepd.device;

import java.lang.foreign.MemorySegment;

/// Memory that the host addresses, too.
public record HostArray(MemorySegment segment) implements Array {
    @Override
    public long byteSize() {
        return segment.byteSize();
    }

    @Override
    public HostArray slice(long offset, long bytes) {
        return new HostArray(segment.asSlice(offset, bytes));
    }

    @Override
    public void read(long offset, MemorySegment into) {
        MemorySegment.copy(segment, offset, into, 0, into.byteSize());
    }

    @Override
    public void write(long offset, MemorySegment from) {
        MemorySegment.copy(from, 0, segment, offset, from.byteSize());
    }
}
