package dev.stepd.device.cuda;

import java.util.concurrent.atomic.AtomicBoolean;
import jcuda.Pointer;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUstream;
import jcuda.driver.CUstream_flags;
import jcuda.driver.JCudaDriver;

/// Work for a device that is done in the order it was asked for. Streams wait for one another only where told to. All methods
/// return at once but for [#synchronize]; an error of the work shows in a later call. One thread at a time; nothing is
/// allocated by copies, launches and events.
final class CudaStream implements AutoCloseable {
    /// Which of the streams with work the device prefers.
    enum Priority { NORMAL, HIGH }

    private final CudaContext context;
    private final CUstream stream = new CUstream();
    // what calls take addresses in, one for each role, reused
    private final CUdeviceptr to = new CUdeviceptr();
    private final CUdeviceptr from = new CUdeviceptr();
    private final Pointer host = new Pointer();
    private final AtomicBoolean open = new AtomicBoolean(true);

    CudaStream(CudaContext context, Priority priority) {
        this.context = context;
        context.use();
        Cuda.check(JCudaDriver.cuStreamCreateWithPriority(stream, CUstream_flags.CU_STREAM_NON_BLOCKING, number(priority)),
                "cuStreamCreateWithPriority");
    }

    private static int number(Priority priority) {
        var least = new int[1];
        var greatest = new int[1];
        Cuda.check(JCudaDriver.cuCtxGetStreamPriorityRange(least, greatest), "cuCtxGetStreamPriorityRange");
        return switch (priority) {
            case NORMAL -> least[0];
            case HIGH -> greatest[0];
        };
    }

    /// Copies from the host to the device. The host's memory is read when the copy runs if it is pinned; other memory is read
    /// before this returns, and slowly.
    void copyIn(long device, long hostAddress, long bytes) {
        if (bytes > 0) {
            context.use();
            Cuda.point(to, device);
            Cuda.point(host, hostAddress);
            Cuda.check(JCudaDriver.cuMemcpyHtoDAsync(to, host, bytes, stream), "cuMemcpyHtoDAsync");
        }
    }

    /// Copies from the device to the host: pinned memory is written when the copy runs.
    void copyOut(long hostAddress, long device, long bytes) {
        if (bytes > 0) {
            context.use();
            Cuda.point(host, hostAddress);
            Cuda.point(from, device);
            Cuda.check(JCudaDriver.cuMemcpyDtoHAsync(host, from, bytes, stream), "cuMemcpyDtoHAsync");
        }
    }

    /// Copies within the device; the two must not overlap.
    void copy(long target, long source, long bytes) {
        if (bytes > 0) {
            context.use();
            Cuda.point(to, target);
            Cuda.point(from, source);
            Cuda.check(JCudaDriver.cuMemcpyDtoDAsync(to, from, bytes, stream), "cuMemcpyDtoDAsync");
        }
    }

    /// Sets every byte.
    void fill(long device, byte value, long bytes) {
        if (bytes > 0) {
            context.use();
            Cuda.point(to, device);
            Cuda.check(JCudaDriver.cuMemsetD8Async(to, value, bytes, stream), "cuMemsetD8Async");
        }
    }

    /// Sets every four bytes; `device` is a multiple of 4.
    void fillInts(long device, int value, long count) {
        if (count > 0) {
            context.use();
            Cuda.point(to, device);
            Cuda.check(JCudaDriver.cuMemsetD32Async(to, value, count, stream), "cuMemsetD32Async");
        }
    }

    /// Runs a function of `blocks` blocks of `threads` threads. The arguments are read before this returns.
    ///
    /// @param sharedBytes dynamic shared memory of each block; above 48 KiB only after [CudaFunction#allowSharedBytes]
    void launch(CudaFunction function, int blocks, int threads, int sharedBytes, Arguments arguments) {
        context.use();
        Cuda.check(
                JCudaDriver.cuLaunchKernel(
                        function.handle(), blocks, 1, 1, threads, 1, 1, sharedBytes, stream, arguments.pointer(), null),
                "cuLaunchKernel");
    }

    /// Has the event happen when all that was asked for before is done.
    void record(CudaEvent event) {
        context.use();
        Cuda.check(JCudaDriver.cuEventRecord(event.handle(), stream), "cuEventRecord");
    }

    /// Has what is asked for from now on wait for the event's last recording.
    void await(CudaEvent event) {
        context.use();
        Cuda.check(JCudaDriver.cuStreamWaitEvent(stream, event.handle(), 0), "cuStreamWaitEvent");
    }

    /// Returns when everything that was asked for is done.
    void synchronize() {
        context.use();
        Cuda.check(JCudaDriver.cuStreamSynchronize(stream), "cuStreamSynchronize");
    }

    /// Whether everything that was asked for is done.
    boolean isDone() {
        context.use();
        return Cuda.checkReady(JCudaDriver.cuStreamQuery(stream), "cuStreamQuery");
    }

    /// Gives the stream back; what was asked for is still done.
    @Override
    public void close() {
        if (open.compareAndSet(true, false)) {
            context.release(() -> JCudaDriver.cuStreamDestroy(stream), "cuStreamDestroy");
        }
    }
}
