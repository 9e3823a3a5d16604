package dev.stepd.device.cuda;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.IntSupplier;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;
import org.jspecify.annotations.Nullable;

/// A device's primary context: what its memory, streams, events and modules belong to. Safe for concurrent use.
///
/// The driver wants the context to be current on the thread that calls. Every method here, and of what comes from here, sees to
/// that itself.
final class CudaContext implements AutoCloseable {
    /// The context that this class last made current on a thread.
    private static final ThreadLocal<@Nullable CudaContext> CURRENT = new ThreadLocal<>();

    private final DeviceProperties device;
    private final CUcontext context = new CUcontext();
    private final AtomicBoolean open = new AtomicBoolean(true);

    private CudaContext(DeviceProperties device) {
        this.device = device;
        Cuda.check(JCudaDriver.cuDevicePrimaryCtxRetain(context, DeviceProperties.device(device.index())),
                "cuDevicePrimaryCtxRetain");
    }

    /// The caller closes it after everything that came from it.
    static CudaContext open(DeviceProperties device) {
        return new CudaContext(device);
    }

    DeviceProperties device() {
        return device;
    }

    /// Makes the context current on the calling thread; next to free when it is.
    void use() {
        Cuda.check(makeCurrent(), "cuCtxSetCurrent");
    }

    private int makeCurrent() {
        if (Thread.currentThread().isVirtual()) { // may be carried by another thread than the last time
            return JCudaDriver.cuCtxSetCurrent(context);
        }
        if (CURRENT.get() == this) {
            return CUresult.CUDA_SUCCESS;
        }
        int result = JCudaDriver.cuCtxSetCurrent(context);
        if (result == CUresult.CUDA_SUCCESS) {
            CURRENT.set(this);
        }
        return result;
    }

    /// Gives something back. When the context is lost it is gone already, and that is no failure.
    ///
    /// @param name of the driver's function that `call` calls
    void release(IntSupplier call, String name) {
        int current = makeCurrent();
        Cuda.checkRelease(current != CUresult.CUDA_SUCCESS ? current : call.getAsInt(), name);
    }

    /// Bytes of the device's memory that nobody has, other processes included.
    long freeBytes() {
        use();
        var free = new long[1];
        var total = new long[1];
        Cuda.check(JCudaDriver.cuMemGetInfo(free, total), "cuMemGetInfo");
        return free[0];
    }

    /// Memory of the device, 256-byte aligned, with whatever was in it before.
    ///
    /// @param bytes at least 1
    /// @return its address
    /// @throws CudaError that [CudaError#isOutOfMemory] if there is none
    long allocate(long bytes) {
        use();
        var pointer = new CUdeviceptr();
        Cuda.check(JCudaDriver.cuMemAlloc(pointer, bytes), "cuMemAlloc");
        return Cuda.address(pointer);
    }

    /// Gives back what [#allocate] gave. Waits for everything that runs on the device.
    void free(long address) {
        var pointer = new CUdeviceptr();
        Cuda.point(pointer, address);
        release(() -> JCudaDriver.cuMemFree(pointer), "cuMemFree");
    }

    /// Main memory that does not move and that devices copy from and to by themselves.
    ///
    /// @param bytes at least 1
    PinnedMemory pin(long bytes) {
        return new PinnedMemory(this, bytes);
    }

    CudaStream stream(CudaStream.Priority priority) {
        return new CudaStream(this, priority);
    }

    CudaEvent event(CudaEvent.Kind kind) {
        return new CudaEvent(this, kind);
    }

    /// Loads compiled kernels into the device.
    ///
    /// @param image a cubin for this device, or PTX, which the driver compiles
    CudaModule load(byte[] image) {
        return new CudaModule(this, image);
    }

    /// Waits until everything that was asked of the device is done.
    void synchronize() {
        use();
        Cuda.check(JCudaDriver.cuCtxSynchronize(), "cuCtxSynchronize");
    }

    @Override
    public void close() {
        if (open.compareAndSet(true, false)) {
            CURRENT.remove();
            Cuda.checkRelease(JCudaDriver.cuDevicePrimaryCtxRelease(DeviceProperties.device(device.index())),
                    "cuDevicePrimaryCtxRelease");
        }
    }
}
