package dev.stepd.device;

/// A budget of memory that regions come from. Safe for concurrent use.
public interface Memory {
    /// @param purpose what the memory is for, for the message when there is none
    /// @throws dev.stepd.error.ServiceException `OUT_OF_MEMORY` with the bytes needed and free
    Region allocate(long bytes, String purpose);

    /// Bytes that may be allocated in all.
    long capacityBytes();

    /// Bytes not handed out.
    long freeBytes();
}
