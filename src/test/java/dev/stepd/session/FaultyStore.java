package dev.stepd.session;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.store.Census;
import dev.stepd.store.SnapshotStore;
import dev.stepd.store.StoredSession;
import dev.stepd.store.StoredSnapshot;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;

/// A store whose writing can be held up or broken.
final class FaultyStore implements SnapshotStore {
    private final SnapshotStore sound;
    /// A snapshot needs one to complete, when held up.
    final Semaphore permits = new Semaphore(0);
    final AtomicInteger begun = new AtomicInteger();
    volatile boolean heldUp;
    volatile boolean broken;

    FaultyStore(SnapshotStore sound) {
        this.sound = sound;
    }

    @Override
    public Writing write(StoredSession session, StoredSnapshot snapshot) {
        breakDown();
        begun.incrementAndGet();
        if (heldUp) {
            permits.acquireUninterruptibly();
        }
        var writing = sound.write(session, snapshot);
        return new Writing() {
            @Override
            public void begin(long arrayBytes) {
                writing.begin(arrayBytes);
            }

            @Override
            public void write(MemorySegment bytes) {
                breakDown();
                writing.write(bytes);
            }

            @Override
            public StoredSnapshot complete(String digest) {
                breakDown();
                return writing.complete(digest);
            }

            @Override
            public void close() {
                writing.close();
            }
        };
    }

    private void breakDown() {
        if (broken) {
            throw new ServiceException(ErrorCode.UNAVAILABLE, "the disk is full");
        }
    }

    @Override
    public void put(StoredSession session) {
        breakDown();
        sound.put(session);
    }

    @Override
    public String owner() {
        return sound.owner();
    }

    @Override
    public Census census() {
        return sound.census();
    }

    @Override
    public Optional<Duration> censusEvery() {
        return sound.censusEvery();
    }

    @Override
    public void letGo(String id) {
        sound.letGo(id);
    }

    @Override
    public void requireOwned(String id) {
        sound.requireOwned(id);
    }

    @Override
    public Optional<StoredSession> session(String id) {
        return sound.session(id);
    }

    @Override
    public List<StoredSession> sessions() {
        return sound.sessions();
    }

    @Override
    public void deleteSession(String id) {
        sound.deleteSession(id);
    }

    @Override
    public List<StoredSnapshot> snapshots(String sessionId) {
        return sound.snapshots(sessionId);
    }

    @Override
    public Optional<StoredSnapshot> snapshot(String sessionId, String snapshotId) {
        return sound.snapshot(sessionId, snapshotId);
    }

    @Override
    public void read(StoredSnapshot snapshot, Consumer<MemorySegment> sink) {
        sound.read(snapshot, sink);
    }

    @Override
    public void pin(String sessionId, String snapshotId, boolean pinned) {
        breakDown();
        sound.pin(sessionId, snapshotId, pinned);
    }

    @Override
    public void deleteSnapshot(String sessionId, String snapshotId) {
        sound.deleteSnapshot(sessionId, snapshotId);
    }

    @Override
    public void close() {
        sound.close();
    }
}
