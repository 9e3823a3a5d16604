package dev.stepd.session;

import dev.stepd.device.HostMemory;
import dev.stepd.device.HostRegion;
import java.util.ArrayDeque;

/// The bodies of one session: each as large as all its gradients and other inputs, used again and again. Safe for concurrent use.
final class Buffers implements AutoCloseable {
    private static final int FREE_MAX = 2;

    private final HostMemory memory;
    private final long bytes;
    private final String purpose;
    private final ArrayDeque<HostRegion> free = new ArrayDeque<>();
    private boolean closed;

    /// @throws dev.stepd.error.ServiceException `OUT_OF_MEMORY` when not even one fits: such a session could never step
    Buffers(HostMemory memory, long bytes, String purpose) {
        this.memory = memory;
        this.bytes = bytes;
        this.purpose = purpose;
        free.add(memory.allocate(bytes, purpose));
    }

    long bytes() {
        return bytes;
    }

    /// Its contents are whatever was left in it.
    ///
    /// @throws dev.stepd.error.ServiceException `OUT_OF_MEMORY`
    Lease take() {
        HostRegion region;
        synchronized (this) {
            region = free.poll();
        }
        var taken = region != null ? region : memory.allocate(bytes, purpose);
        return new Lease(taken.segment(), () -> giveBack(taken));
    }

    /// Frees what is not taken.
    synchronized void shrink() {
        free.forEach(HostRegion::close);
        free.clear();
    }

    /// Frees what is not taken; the rest goes when it comes back.
    @Override
    public synchronized void close() {
        closed = true;
        shrink();
    }

    private void giveBack(HostRegion region) {
        synchronized (this) {
            if (!closed && free.size() < FREE_MAX) {
                free.push(region);
                return;
            }
        }
        region.close();
    }
}
