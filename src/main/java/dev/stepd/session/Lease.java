package dev.stepd.session;

import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;

/// Memory with several holders, given back by the last of them, from whatever thread. Made with one holder.
final class Lease {
    private final MemorySegment memory;
    private final Runnable giveBack;
    private final AtomicInteger holders = new AtomicInteger(1);

    Lease(MemorySegment memory, Runnable giveBack) {
        this.memory = memory;
        this.giveBack = giveBack;
    }

    MemorySegment memory() {
        return memory;
    }

    /// One more holder, unless the last one is gone already.
    boolean tryRetain() {
        for (int count = holders.get(); count > 0; count = holders.get()) {
            if (holders.compareAndSet(count, count + 1)) {
                return true;
            }
        }
        return false;
    }

    /// One more holder; the caller is one.
    Lease retain() {
        if (!tryRetain()) {
            throw new IllegalStateException("the memory was given back");
        }
        return this;
    }

    void release() {
        if (holders.decrementAndGet() == 0) {
            giveBack.run();
        }
    }

    /// [#release] for a holder that may call twice.
    Runnable releaseOnce() {
        var released = new AtomicBoolean();
        return () -> {
            if (released.compareAndSet(false, true)) {
                release();
            }
        };
    }
}
