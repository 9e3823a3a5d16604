package dev.stepd.device;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;

/// Bytes that may be handed out, and how many are. Safe for concurrent use.
public final class Budget {
    private final long capacityBytes;
    private final String device;
    private final String kind;
    private final AtomicLong usedBytes = new AtomicLong();

    /// @param device whose sessions take these bytes
    /// @param kind what the bytes are of, for messages: `memory on cuda:0`
    public Budget(long capacityBytes, String device, String kind) {
        this.capacityBytes = capacityBytes;
        this.device = device;
        this.kind = kind;
    }

    /// Takes bytes off what is free; [#release] gives them back.
    ///
    /// @param purpose what they are for, for the message when there are too few
    /// @throws ServiceException `OUT_OF_MEMORY` with the bytes needed and free
    public void reserve(long bytes, String purpose) {
        long used = usedBytes.get();
        while (bytes > capacityBytes - used || !usedBytes.compareAndSet(used, used + bytes)) {
            if (bytes > capacityBytes - used) {
                throw outOfMemory(purpose, bytes, capacityBytes - used);
            }
            used = usedBytes.get();
        }
    }

    public void release(long bytes) {
        usedBytes.addAndGet(-bytes);
    }

    public long capacityBytes() {
        return capacityBytes;
    }

    /// Bytes not reserved.
    public long freeBytes() {
        return capacityBytes - usedBytes.get();
    }

    /// What to throw where the budget would allow what there is not.
    public ServiceException outOfMemory(String purpose, long needed, long free) {
        return new ServiceException(ErrorCode.OUT_OF_MEMORY,
                purpose + " needs " + needed + " bytes of " + kind + ", " + free + " are free",
                Map.of("bytes_needed", needed, "bytes_free", free, "device", device));
    }
}
