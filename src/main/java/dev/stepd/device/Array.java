package dev.stepd.device;

import java.lang.foreign.MemorySegment;

/// A stretch of memory that a device's programs work on. The host reaches it by copies; where it can address it as well, it is
/// a [HostArray].
///
/// Copies are done when they return, and see what the runs before them left. What is copied from or into is memory outside the
/// heap.
public interface Array {
    long byteSize();

    /// The same memory, `bytes` of it from `offset` on.
    Array slice(long offset, long bytes);

    /// Copies what begins `offset` bytes into this to all of `into`.
    void read(long offset, MemorySegment into);

    /// Copies all of `from` to what begins `offset` bytes into this.
    void write(long offset, MemorySegment from);
}
