package dev.stepd.device.cuda;

import java.lang.foreign.MemorySegment;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.Consumer;

/// Copies outside of steps, done when they return, each on a stream that no other thread has meanwhile. Safe for concurrent use.
final class Transfers implements AutoCloseable {
    private final CudaDevice device;
    private final ConcurrentLinkedQueue<CudaStream> idle = new ConcurrentLinkedQueue<>();

    Transfers(CudaDevice device) {
        this.device = device;
    }

    void read(long address, MemorySegment into) {
        run(stream -> stream.copyOut(into.address(), address, into.byteSize()));
    }

    void write(long address, MemorySegment from) {
        run(stream -> stream.copyIn(address, from.address(), from.byteSize()));
    }

    void clear(long address, long bytes) {
        run(stream -> stream.fill(address, (byte) 0, bytes));
    }

    private void run(Consumer<CudaStream> work) {
        device.requireHealthy();
        var stream = stream();
        try {
            work.accept(stream);
            stream.synchronize();
        } catch (CudaError e) {
            device.failed(e);
            stream.close();
            throw e;
        }
        idle.add(stream);
    }

    private CudaStream stream() {
        var known = idle.poll();
        try {
            return known != null ? known : device.context().stream(CudaStream.Priority.NORMAL);
        } catch (CudaError e) {
            throw device.refused(e);
        }
    }

    @Override
    public void close() {
        for (var stream = idle.poll(); stream != null; stream = idle.poll()) {
            stream.close();
        }
    }
}
