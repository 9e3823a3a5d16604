package dev.stepd.device;

import java.lang.foreign.MemorySegment;

/// A stretch of main memory with one owner. Zero when handed out.
public interface HostRegion extends Region {
    /// The memory, 64-byte aligned, followed by at least 64 readable bytes of slack.
    MemorySegment segment();

    @Override
    HostArray array();
}
