package dev.stepd.store.jdbc;

import dev.stepd.store.SnapshotStore;
import dev.stepd.store.StoredSession;
import dev.stepd.store.StoredSnapshot;
import java.io.ByteArrayInputStream;
import java.lang.foreign.MemorySegment;

/// Cuts the bytes of a snapshot into chunks and commits each by itself.
final class ChunkedWriting implements SnapshotStore.Writing {
    static final int CHUNK_BYTES = 4 << 20;

    private final JdbcSnapshotStore store;
    private final StoredSession session;
    private final StoredSnapshot snapshot;
    private final byte[] chunk;
    private int filled;
    private long position;
    private long written;
    private boolean complete;

    ChunkedWriting(JdbcSnapshotStore store, StoredSession session, StoredSnapshot snapshot) {
        this.store = store;
        this.session = session;
        this.snapshot = snapshot;
        this.chunk = new byte[(int) Math.min(CHUNK_BYTES, Math.max(1, snapshot.bytes()))];
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
    public void complete(String digest) {
        if (written != snapshot.bytes()) {
            throw new IllegalStateException("snapshot " + snapshot.id() + " has " + written + " bytes of " + snapshot.bytes());
        }
        flush();
        store.complete(session, snapshot, digest);
        complete = true;
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
        store.append(snapshot, connection -> {
            try (var insert = connection.prepareStatement("INSERT INTO snapshot_chunks"
                    + " (snapshot_id, position, encoding, byte_count, data) VALUES (?, ?, 'raw', ?, ?)")) {
                insert.setString(1, snapshot.id());
                insert.setLong(2, position);
                insert.setInt(3, filled);
                insert.setBinaryStream(4, new ByteArrayInputStream(chunk, 0, filled), filled);
                insert.executeUpdate();
            }
        });
        position++;
        filled = 0;
    }
}
