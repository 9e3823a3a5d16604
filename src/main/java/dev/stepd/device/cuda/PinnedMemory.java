package dev.stepd.device.cuda;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.concurrent.atomic.AtomicBoolean;
import jcuda.Pointer;
import jcuda.driver.JCudaDriver;

/// Page-locked main memory: devices copy from and to it at full speed while the host goes on, and kernels can address it at the
/// address it has on the host. Not zeroed. Its owner closes it when nothing that uses it runs.
final class PinnedMemory implements AutoCloseable {
    private final CudaContext context;
    private final MemorySegment segment;
    private final AtomicBoolean open = new AtomicBoolean(true);

    PinnedMemory(CudaContext context, long bytes) {
        this.context = context;
        context.use();
        int flags = JCudaDriver.CU_MEMHOSTALLOC_PORTABLE | JCudaDriver.CU_MEMHOSTALLOC_DEVICEMAP;
        long address = ForeignNumber.getLong(place ->
                Cuda.check((int) Allocation.CALL.invokeExact(place, bytes, flags), "cuMemHostAlloc"));
        this.segment = MemorySegment.ofAddress(address).reinterpret(bytes);
    }

    /// The memory, page-aligned. Not to be touched after [#close]: nothing would stop it.
    MemorySegment segment() {
        return segment;
    }

    @Override
    public void close() {
        if (open.compareAndSet(true, false)) {
            var pointer = new Pointer();
            Cuda.point(pointer, segment.address());
            context.release(() -> JCudaDriver.cuMemFreeHost(pointer), "cuMemFreeHost");
        }
    }

    /// Not through JCuda, which makes a buffer of the memory: buffers end at 2 GiB.
    private static final class Allocation {
        static final MethodHandle CALL = NativeLibrary.open(CudaProbe.DRIVER).bind("cuMemHostAlloc",
                FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.JAVA_LONG, ValueLayout.JAVA_INT));
    }
}
