package dev.stepd.session;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/// Bounds the bytes of all bodies that are being received or wait for their step. One body is always let in, however
/// large: whether its session fits the machine was decided when that was created.
final class Admission {
    private final long limitBytes;
    private final AtomicLong inFlight = new AtomicLong();
    /// Bodies under way, and one for whoever may still bring some.
    private final AtomicLong open = new AtomicLong(1);
    private final CountDownLatch ended = new CountDownLatch(1);
    private volatile boolean closed;

    Admission(long limitBytes) {
        this.limitBytes = limitBytes;
    }

    /// @throws ServiceException `TOO_MANY_REQUESTS`, `UNAVAILABLE` when no more are taken
    void admit(long bytes) {
        open.incrementAndGet();
        try {
            requireOpen();
            take(bytes);
        } catch (ServiceException e) {
            left();
            throw e;
        }
    }

    private void take(long bytes) {
        long after = inFlight.addAndGet(bytes);
        if (after > limitBytes && after != bytes) {
            inFlight.addAndGet(-bytes);
            throw new ServiceException(ErrorCode.TOO_MANY_REQUESTS, "this body takes " + bytes + " bytes, "
                    + (after - bytes) + " of the " + limitBytes + " allowed at a time are in flight");
        }
    }

    void leave(long bytes) {
        inFlight.addAndGet(-bytes);
        left();
    }

    private void left() {
        if (open.decrementAndGet() == 0) {
            ended.countDown();
        }
    }

    /// Whether bodies are under way and more may come.
    boolean isBusy() {
        return open.get() > 1;
    }

    /// Takes no more.
    synchronized void close() {
        if (!closed) {
            closed = true;
            left();
        }
    }

    boolean isClosed() {
        return closed;
    }

    void requireOpen() {
        if (closed) {
            throw new ServiceException(ErrorCode.UNAVAILABLE, "the server is draining");
        }
    }

    /// Once closed: whether the last one left in time.
    boolean awaitLast(Duration limit) throws InterruptedException {
        return ended.await(limit.toNanos(), TimeUnit.NANOSECONDS);
    }

    long bytesInFlight() {
        return inFlight.get();
    }
}
