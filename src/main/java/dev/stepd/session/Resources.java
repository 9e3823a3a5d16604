package dev.stepd.session;

import dev.stepd.engine.Engine;
import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.store.SnapshotStore;
import dev.stepd.store.journal.Journals;

/// What all sessions share.
record Resources(
        Engine engine, SnapshotStore store, Journals journals, Sessions.Limits limits, Admission admission, Lanes lanes) {
    /// Main memory for a while, beside what sessions hold for good.
    ///
    /// @throws ServiceException `UNAVAILABLE` when there is none now
    Lease spare(long bytes, String purpose) {
        try {
            var region = engine.hostMemory().allocate(bytes, purpose);
            return new Lease(region.segment(), region::close);
        } catch (ServiceException e) {
            throw forNow(e);
        }
    }

    /// Lack of memory for something passing: later there may be some.
    static ServiceException forNow(ServiceException e) {
        return e.code() == ErrorCode.OUT_OF_MEMORY
                ? new ServiceException(ErrorCode.UNAVAILABLE, e.getMessage(), e)
                : e;
    }
}
