package dev.stepd.session;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import java.util.concurrent.atomic.AtomicLong;

/// Bounds the bytes of all bodies that are being received or wait for their step. One body is always let in, however
/// large: whether its session fits the machine was decided when that was created.
final class Admission {
    private final long limitBytes;
    private final AtomicLong inFlight = new AtomicLong();

    Admission(long limitBytes) {
        this.limitBytes = limitBytes;
    }

    /// @throws ServiceException `TOO_MANY_REQUESTS`
    void admit(long bytes) {
        long after = inFlight.addAndGet(bytes);
        if (after > limitBytes && after != bytes) {
            inFlight.addAndGet(-bytes);
            throw new ServiceException(ErrorCode.TOO_MANY_REQUESTS, "this body takes " + bytes + " bytes, "
                    + (after - bytes) + " of the " + limitBytes + " allowed at a time are in flight");
        }
    }

    void leave(long bytes) {
        inFlight.addAndGet(-bytes);
    }

    long bytesInFlight() {
        return inFlight.get();
    }
}
