package dev.stepd.device;

import java.lang.foreign.MemorySegment;

/// A stretch of a device's memory with one owner. Zero when handed out.
public interface Region extends AutoCloseable {
    /// The memory, 64-byte aligned, followed by at least 64 readable bytes of slack.
    MemorySegment segment();

    /// Gives the memory back. Further calls do nothing; the segment must not be used afterwards.
    @Override
    void close();
}
