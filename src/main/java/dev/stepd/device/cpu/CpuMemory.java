package dev.stepd.device.cpu;

import dev.stepd.device.Budget;
import dev.stepd.device.HostArray;
import dev.stepd.device.HostMemory;
import dev.stepd.device.HostRegion;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicBoolean;

/// Main memory under a budget.
final class CpuMemory implements HostMemory {
    private final Budget budget;

    CpuMemory(long capacityBytes) {
        budget = new Budget(capacityBytes, "cpu", "memory");
    }

    @Override
    public HostRegion allocate(long bytes, String purpose) {
        long reserved = bytes + Pages.SLACK_BYTES;
        budget.reserve(reserved, purpose);
        try {
            return new Stretch(Pages.map(reserved), bytes, reserved);
        } catch (OutOfMemoryError e) {
            budget.release(reserved);
            throw budget.outOfMemory(purpose, reserved, 0);
        }
    }

    @Override
    public long capacityBytes() {
        return budget.capacityBytes();
    }

    @Override
    public long freeBytes() {
        return budget.freeBytes();
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
                budget.release(reserved);
            }
        }
    }
}
