package dev.stepd.device.cuda;

import java.util.concurrent.atomic.AtomicBoolean;
import jcuda.driver.CUevent;
import jcuda.driver.CUevent_flags;
import jcuda.driver.JCudaDriver;

/// A point in a stream's work, which other streams and the host can wait for. Before it is recorded nobody waits for it.
final class CudaEvent implements AutoCloseable {
    /// What an event is for.
    enum Kind {
        /// Waited for by streams, or by the host without giving up its core.
        ORDER(CUevent_flags.CU_EVENT_DISABLE_TIMING),
        /// Waited for by host threads that sleep meanwhile: tens of microseconds later than spinning, at no cost.
        SLEEP(CUevent_flags.CU_EVENT_DISABLE_TIMING | CUevent_flags.CU_EVENT_BLOCKING_SYNC),
        /// Two of them measure time.
        TIME(CUevent_flags.CU_EVENT_DEFAULT);

        private final int flags;

        Kind(int flags) {
            this.flags = flags;
        }
    }

    private final CudaContext context;
    private final CUevent handle = new CUevent();
    private final AtomicBoolean open = new AtomicBoolean(true);

    CudaEvent(CudaContext context, Kind kind) {
        this.context = context;
        context.use();
        Cuda.check(JCudaDriver.cuEventCreate(handle, kind.flags), "cuEventCreate");
    }

    CUevent handle() {
        return handle;
    }

    /// Returns when the last recording has happened.
    void synchronize() {
        context.use();
        Cuda.check(JCudaDriver.cuEventSynchronize(handle), "cuEventSynchronize");
    }

    /// Whether the last recording has happened.
    boolean isDone() {
        context.use();
        return Cuda.checkReady(JCudaDriver.cuEventQuery(handle), "cuEventQuery");
    }

    /// Milliseconds of the device's clock from another event to this; both are [Kind#TIME] and have happened.
    float millisecondsSince(CudaEvent start) {
        context.use();
        var milliseconds = new float[1];
        Cuda.check(JCudaDriver.cuEventElapsedTime(milliseconds, start.handle, handle), "cuEventElapsedTime");
        return milliseconds[0];
    }

    @Override
    public void close() {
        if (open.compareAndSet(true, false)) {
            context.release(() -> JCudaDriver.cuEventDestroy(handle), "cuEventDestroy");
        }
    }
}
