package dev.stepd.session;

import dev.stepd.device.HostRegion;
import dev.stepd.engine.Engine;
import dev.stepd.engine.StatePart;
import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.store.SnapshotStore;
import dev.stepd.store.journal.Journals;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.function.Consumer;

/// What all sessions share.
record Resources(
        Engine engine, SnapshotStore store, Journals journals, Spool spool, Sessions.Limits limits, Admission admission, Events events,
        Lanes lanes, Tiers tiers) {
    /// Main memory for a while, beside what sessions hold for good.
    ///
    /// @throws ServiceException `UNAVAILABLE` when there is none now
    Lease spare(long bytes, String purpose) {
        try {
            var region = engine.hostMemory().allocate(bytes, purpose);
            return new Lease(region.segment(), region::close);
        } catch (ServiceException e) {
            if (e.code() == ErrorCode.OUT_OF_MEMORY) {
                tiers.ask(e);
            }
            throw forNow(e);
        }
    }

    /// Puts bytes aside that come in pieces: in main memory, or in a file where that has no room.
    ///
    /// @param source hands over so many bytes in order
    /// @return exactly the bytes, only to be read
    /// @throws ServiceException `UNAVAILABLE` when there is room nowhere now
    Lease putAside(long bytes, String purpose, Consumer<Consumer<MemorySegment>> source) {
        return aside(bytes, purpose, memory -> source.accept(new Consumer<>() {
            private long filled;

            @Override
            public void accept(MemorySegment piece) {
                MemorySegment.copy(piece, 0, memory, filled, piece.byteSize());
                filled += piece.byteSize();
            }
        }), source);
    }

    /// The same for the bytes of arrays, end to end.
    Lease copyAside(List<StatePart> parts, long bytes, String purpose) {
        return aside(bytes, purpose, memory -> Copying.gather(parts, memory),
                sink -> parts.forEach(part -> Copying.show(part.array(), sink)));
    }

    /// The same without main memory.
    Lease copyToFile(List<StatePart> parts, long bytes, String purpose) {
        return putInFile(bytes, purpose, sink -> parts.forEach(part -> Copying.show(part.array(), sink)));
    }

    /// [#putAside] without main memory.
    Lease putInFile(long bytes, String purpose, Consumer<Consumer<MemorySegment>> source) {
        try {
            return spool.put(bytes, purpose, source);
        } catch (Spool.NoRoom e) {
            throw new ServiceException(ErrorCode.UNAVAILABLE, purpose + ": " + e.getMessage(), e);
        }
    }

    private Lease aside(long bytes, String purpose, Consumer<MemorySegment> fill, Consumer<Consumer<MemorySegment>> source) {
        HostRegion region;
        try {
            region = engine.hostMemory().allocate(bytes, purpose);
        } catch (ServiceException e) {
            return spooled(bytes, purpose, source, e);
        }
        try {
            var memory = region.segment().asSlice(0, bytes);
            fill.accept(memory);
            return new Lease(memory, region::close);
        } catch (RuntimeException | Error e) {
            region.close();
            throw e;
        }
    }

    private Lease spooled(long bytes, String purpose, Consumer<Consumer<MemorySegment>> source, ServiceException noMemory) {
        if (noMemory.code() != ErrorCode.OUT_OF_MEMORY) {
            throw noMemory;
        }
        try {
            return spool.put(bytes, purpose, source);
        } catch (Spool.NoRoom e) {
            tiers.ask(noMemory);
            throw new ServiceException(ErrorCode.UNAVAILABLE, noMemory.getMessage() + "; " + e.getMessage(), e);
        }
    }

    /// Lack of memory for something passing: later there may be some.
    static ServiceException forNow(ServiceException e) {
        return e.code() == ErrorCode.OUT_OF_MEMORY
                ? new ServiceException(ErrorCode.UNAVAILABLE, e.getMessage(), e)
                : e;
    }
}
