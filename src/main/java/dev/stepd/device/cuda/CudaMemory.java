package dev.stepd.device.cuda;

import dev.stepd.device.Array;
import dev.stepd.device.Memory;
import dev.stepd.device.Region;
import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;

/// A device's memory under a budget. What the budget leaves may still not be there, where other processes use the device.
final class CudaMemory implements Memory {
    /// Kernels read four values at once, and of half bytes two; nothing is read past an array's last byte.
    private static final long ALIGNMENT_BYTES = 256;

    private final CudaDevice device;
    private final long capacityBytes;
    private final AtomicLong usedBytes = new AtomicLong();

    CudaMemory(CudaDevice device, long capacityBytes) {
        this.device = device;
        this.capacityBytes = capacityBytes;
    }

    @Override
    public Region allocate(long bytes, String purpose) {
        device.requireHealthy();
        long reserved = Math.ceilDiv(Math.max(1, bytes), ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
        long used = usedBytes.get();
        while (reserved > capacityBytes - used || !usedBytes.compareAndSet(used, used + reserved)) {
            if (reserved > capacityBytes - used) {
                throw outOfMemory(purpose, reserved, capacityBytes - used);
            }
            used = usedBytes.get();
        }
        long address = 0;
        try {
            address = device.context().allocate(reserved);
            device.transfers().clear(address, reserved);
            return new Stretch(address, bytes, reserved);
        } catch (RuntimeException e) {
            if (address != 0) {
                device.context().free(address);
            }
            usedBytes.addAndGet(-reserved);
            throw e instanceof CudaError error && error.isOutOfMemory()
                    ? outOfMemory(purpose, reserved, freeBytes())
                    : device.failed(e);
        }
    }

    private ServiceException outOfMemory(String purpose, long needed, long free) {
        return new ServiceException(ErrorCode.OUT_OF_MEMORY,
                purpose + " needs " + needed + " bytes of memory on " + device.name() + ", " + free + " are free",
                Map.of("bytes_needed", needed, "bytes_free", free));
    }

    @Override
    public long capacityBytes() {
        return capacityBytes;
    }

    @Override
    public long freeBytes() {
        if (!device.isHealthy()) {
            return 0;
        }
        try {
            return Math.min(capacityBytes - usedBytes.get(), device.context().freeBytes());
        } catch (CudaError e) {
            device.failed(e);
            return 0;
        }
    }

    /// Bytes handed out.
    long usedBytes() {
        return usedBytes.get();
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
                usedBytes.addAndGet(-reserved);
            }
        }
    }
}
