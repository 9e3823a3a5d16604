package dev.stepd.store.jdbc;

import dev.stepd.store.SnapshotStore;
import dev.stepd.store.StoredSession;
import dev.stepd.store.StoredSnapshot;
import java.lang.foreign.MemorySegment;

/// Cuts the bytes of a snapshot into chunks and commits each by itself.
///
/// A large array begins a chunk and what follows it another, so the same array makes the same chunks wherever it lies.
final class ChunkedWriting implements SnapshotStore.Writing {
    private static final int LARGE_BYTES = 256 << 10;

    private final JdbcSnapshotStore store;
    private final StoredSession session;
    private final StoredSnapshot snapshot;
    private final Compression compression = new Compression();
    private final byte[] chunk;
    private int filled;
    private boolean cutAtNext;
    private long position;
    private long written;
    private long added;
    private boolean complete;

    ChunkedWriting(JdbcSnapshotStore store, StoredSession session, StoredSnapshot snapshot) {
        this.store = store;
        this.session = session;
        this.snapshot = snapshot;
        this.chunk = new byte[(int) Math.min(Chunks.BYTES_MAX, Math.max(1, snapshot.bytes()))];
    }

    @Override
    public void begin(long arrayBytes) {
        boolean large = arrayBytes >= LARGE_BYTES;
        if (large || cutAtNext) {
            flush();
        }
        cutAtNext = large;
    }

    @Override
    public void write(MemorySegment bytes) {
        if (bytes.byteSize() > snapshot.bytes() - written) {
            throw new IllegalStateException("snapshot " + snapshot.id() + " was announced with " + snapshot.bytes() + " bytes");
        }
        long taken = 0;
        while (taken < bytes.byteSize()) {
            int count = (int) Math.min(chunk.length - filled, bytes.byteSize() - taken);
            MemorySegment.copy(bytes, taken, MemorySegment.ofArray(chunk), filled, count);
            filled += count;
            taken += count;
            if (filled == chunk.length) {
                flush();
            }
        }
        written += taken;
    }

    @Override
    public StoredSnapshot complete(String digest) {
        if (written != snapshot.bytes()) {
            throw new IllegalStateException("snapshot " + snapshot.id() + " has " + written + " bytes of " + snapshot.bytes());
        }
        flush();
        var whole = snapshot.completed(digest, added);
        store.complete(session, whole);
        complete = true;
        return whole;
    }

    @Override
    public void close() {
        if (!complete) {
            store.deleteSnapshot(snapshot.sessionId(), snapshot.id());
        }
    }

    private void flush() {
        if (filled == 0) {
            return;
        }
        var use = new Chunks.Use(snapshot.id(), position, Chunks.hash(chunk, filled), chunk, filled);
        added += store.append(snapshot, connection -> Chunks.use(connection, use, compression));
        position++;
        filled = 0;
    }
}
