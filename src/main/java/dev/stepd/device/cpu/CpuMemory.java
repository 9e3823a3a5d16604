package dev.stepd.device.cpu;

import dev.stepd.device.HostArray;
import dev.stepd.device.HostMemory;
import dev.stepd.device.HostRegion;
import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;

/// Main memory under a budget.
final class CpuMemory implements HostMemory {
    private final long capacityBytes;
    private final AtomicLong usedBytes = new AtomicLong();

    CpuMemory(long capacityBytes) {
        this.capacityBytes = capacityBytes;
    }

    @Override
    public HostRegion allocate(long bytes, String purpose) {
        long reserved = bytes + Pages.SLACK_BYTES;
        long used = usedBytes.get();
        while (reserved > capacityBytes - used || !usedBytes.compareAndSet(used, used + reserved)) {
            if (reserved > capacityBytes - used) {
                throw outOfMemory(purpose, reserved, capacityBytes - used);
            }
            used = usedBytes.get();
        }
        try {
            return new Stretch(Pages.map(reserved), bytes, reserved);
        } catch (OutOfMemoryError e) {
            usedBytes.addAndGet(-reserved);
            throw outOfMemory(purpose, reserved, 0);
        }
    }

    private static ServiceException outOfMemory(String purpose, long needed, long free) {
        return new ServiceException(ErrorCode.OUT_OF_MEMORY,
                purpose + " needs " + needed + " bytes of memory, " + free + " are free",
                Map.of("bytes_needed", needed, "bytes_free", free));
    }

    @Override
    public long capacityBytes() {
        return capacityBytes;
    }

    @Override
    public long freeBytes() {
        return capacityBytes - usedBytes.get();
    }

    private final class Stretch implements HostRegion {
        private final Pages pages;
        private final HostArray array;
        private final long reserved;
        private final AtomicBoolean open = new AtomicBoolean(true);

        Stretch(Pages pages, long bytes, long reserved) {
            this.pages = pages;
            this.array = new HostArray(pages.segment().asSlice(0, bytes + Pages.SLACK_BYTES));
            this.reserved = reserved;
        }

        @Override
        public MemorySegment segment() {
            return array.segment();
        }

        @Override
        public HostArray array() {
            return array;
        }

        @Override
        public void close() {
            if (open.compareAndSet(true, false)) {
                pages.close();
                usedBytes.addAndGet(-reserved);
            }
        }
    }
}
