package dev.stepd.store;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;

/// Where sessions and their snapshots are kept. Safe for concurrent use; every call blocks and belongs on no step's
/// path.
///
/// A snapshot exists once it is complete and not before: one whose writing ended early, by an exception or with the
/// process, is never listed and is removed when the store opens next. Whatever returned normally survives a kill.
///
/// Every method throws [dev.stepd.error.ServiceException] `UNAVAILABLE` when the database cannot do its work now.
public interface SnapshotStore extends AutoCloseable {
    /// Adds the session, or replaces what is kept under its id; snapshots stay.
    void put(StoredSession session);

    /// Every session, by id.
    List<StoredSession> sessions();

    /// Removes the session and its snapshots; an unknown id is no error.
    void deleteSession(String id);

    /// Begins a snapshot of a session, which is added first if the store has none of its id.
    ///
    /// @param snapshot with an empty digest, which [Writing#complete] brings
    Writing write(StoredSession session, StoredSnapshot snapshot);

    /// The complete snapshots of a session, oldest first.
    List<StoredSnapshot> snapshots(String sessionId);

    Optional<StoredSnapshot> snapshot(String sessionId, String snapshotId);

    /// Fills `into` with the bytes of a snapshot, chunk by chunk.
    ///
    /// @param into exactly [StoredSnapshot#bytes] long
    /// @throws dev.stepd.error.ServiceException `CONFLICT` when chunks are missing or of another length
    void read(StoredSnapshot snapshot, MemorySegment into);

    /// Removes a snapshot; an unknown id is no error.
    void deleteSnapshot(String sessionId, String snapshotId);

    @Override
    void close();

    /// A snapshot being written by one thread. [#close] without [#complete] leaves nothing of it.
    interface Writing extends AutoCloseable {
        /// Appends bytes.
        void write(MemorySegment bytes);

        /// Makes the snapshot visible and durable, and the session's row the one given to [SnapshotStore#write], both
        /// or neither.
        void complete(String digest);

        @Override
        void close();
    }
}
