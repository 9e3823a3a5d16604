package dev.stepd.session;

import dev.stepd.device.Memory;
import dev.stepd.device.Region;
import java.util.ArrayDeque;

/// The bodies of one session: each as large as all its gradients and other inputs, used again and again. Safe for concurrent use.
final class Buffers implements AutoCloseable {
    private static final int FREE_MAX = 2;

    private final Memory memory;
    private final long bytes;
    private final String purpose;
    private final ArrayDeque<Region> free = new ArrayDeque<>();
    private boolean closed;

    /// @throws dev.stepd.error.ServiceException `OUT_OF_MEMORY` when not even one fits: such a session could never step
    Buffers(Memory memory, long bytes, String purpose) {
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
        Region region;
        synchronized (this) {
            region = free.poll();
        }
        var taken = region != null ? region : memory.allocate(bytes, purpose);
        return new Lease(taken.segment(), () -> giveBack(taken));
    }

    /// Frees what is not taken; the rest goes when it comes back.
    @Override
    public synchronized void close() {
        closed = true;
        free.forEach(Region::close);
        free.clear();
    }

    private void giveBack(Region region) {
        synchronized (this) {
            if (!closed && free.size() < FREE_MAX) {
                free.push(region);
                return;
            }
        }
        region.close();
    }
}
