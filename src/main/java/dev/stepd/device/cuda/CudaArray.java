package dev.stepd.device.cuda;

import dev.stepd.device.Array;
import java.lang.foreign.MemorySegment;

/// A stretch of a device's memory.
///
/// @param address the device's
record CudaArray(CudaDevice device, long address, long byteSize) implements Array {
    @Override
    public Array slice(long offset, long bytes) {
        check(offset, bytes);
        return new CudaArray(device, address + offset, bytes);
    }

    @Override
    public void read(long offset, MemorySegment into) {
        check(offset, into.byteSize());
        device.transfers().read(address + offset, into);
    }

    @Override
    public void write(long offset, MemorySegment from) {
        check(offset, from.byteSize());
        device.transfers().write(address + offset, from);
    }

    private void check(long offset, long bytes) {
        if (offset < 0 || bytes < 0 || offset > byteSize - bytes) {
            throw new IndexOutOfBoundsException(bytes + " bytes at " + offset + " of " + byteSize);
        }
    }
}
