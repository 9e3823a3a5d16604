package dev.stepd.device.cuda;

import dev.stepd.device.Array;
import dev.stepd.device.Budget;
import dev.stepd.device.Memory;
import dev.stepd.device.Region;
import java.util.concurrent.atomic.AtomicBoolean;

/// A device's memory under a budget. What the budget leaves may still not be there, where other processes use the device.
final class CudaMemory implements Memory {
    /// Kernels read four values at once, and of half bytes two; nothing is read past an array's last byte.
    private static final long ALIGNMENT_BYTES = 256;

    private final CudaDevice device;
    private final Budget budget;

    CudaMemory(CudaDevice device, long capacityBytes) {
        this.device = device;
        this.budget = new Budget(capacityBytes, device.name(), "memory on " + device.name());
    }

    @Override
    public Region allocate(long bytes, String purpose) {
        device.requireHealthy();
        long reserved = Math.ceilDiv(Math.max(1, bytes), ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
        budget.reserve(reserved, purpose);
        long address = 0;
        try {
            address = device.context().allocate(reserved);
            device.transfers().clear(address, reserved);
            return new Stretch(address, bytes, reserved);
        } catch (RuntimeException e) {
            if (address != 0) {
                device.context().free(address);
            }
            budget.release(reserved);
            throw e instanceof CudaError error && error.isOutOfMemory()
                    ? budget.outOfMemory(purpose, reserved, freeBytes())
                    : device.failed(e);
        }
    }

    @Override
    public long capacityBytes() {
        return budget.capacityBytes();
    }

    @Override
    public long freeBytes() {
        if (!device.isHealthy()) {
            return 0;
        }
        try {
            return Math.min(budget.freeBytes(), device.context().freeBytes());
        } catch (CudaError e) {
            device.failed(e);
            return 0;
        }
    }

    private final class Stretch implements Region {
        private final CudaArray array;
        private final long reserved;
        private final AtomicBoolean open = new AtomicBoolean(true);

        Stretch(long address, long bytes, long reserved) {
            this.array = new CudaArray(device, address, bytes);
            this.reserved = reserved;
        }

        @Override
        public Array array() {
            return array;
        }

        @Override
        public void close() {
            if (open.compareAndSet(true, false)) {
                device.context().free(array.address());
                budget.release(reserved);
            }
        }
    }
}
