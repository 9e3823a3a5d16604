package dev.stepd.store;

import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;

/// Where sessions and their snapshots are kept. Safe for concurrent use; every call blocks and belongs on no step's
/// path.
///
/// A snapshot exists once it is complete and not before: one whose writing ended early, by an exception or with the
/// process, is never listed and is removed when the store opens next. Whatever returned normally survives a kill.
///
/// Several servers may share a store. Each session is one's, who alone may write it: whatever changes the store sees in the same
/// transaction that the session is still ours, and throws `NOT_OWNER` when another has taken it. Opening claims every session that
/// has no living owner, adding makes a session ours, and closing leaves ours to whoever comes.
///
/// Every method throws [dev.stepd.error.ServiceException] `UNAVAILABLE` when the database cannot do its work now.
public interface SnapshotStore extends AutoCloseable {
    /// Who we are: one name for each opening.
    String owner();

    /// Claims the sessions without a living owner and tells what changed hands.
    Census census();

    /// How often to ask for a [#census]; empty where no other server can have the store.
    Optional<Duration> censusEvery();

    /// Gives up a session that was lost to another server, once nothing here works on it. It may be claimed again.
    void letGo(String id);

    /// Refuses what is done for a session that another server has taken, or may have without our knowing, because the store
    /// could not be asked for too long. Neither blocks nor allocates.
    ///
    /// @throws dev.stepd.error.ServiceException `NOT_OWNER`, `UNAVAILABLE`
    void requireOwned(String id);

    /// Adds the session, or replaces what is kept under its id; snapshots stay.
    void put(StoredSession session);

    /// Every session, by id, whosever it is.
    List<StoredSession> sessions();

    Optional<StoredSession> session(String id);

    /// Removes the session and its snapshots; an unknown id is no error.
    void deleteSession(String id);

    /// Begins a snapshot of a session, which is added first if the store has none of its id. One at a time for each session: what
    /// was begun before and is not complete is removed.
    ///
    /// @param snapshot with an empty digest, which [Writing#complete] brings
    Writing write(StoredSession session, StoredSnapshot snapshot);

    /// The complete snapshots of a session, oldest first.
    List<StoredSnapshot> snapshots(String sessionId);

    Optional<StoredSnapshot> snapshot(String sessionId, String snapshotId);

    /// Hands over the bytes of a snapshot in order, chunk by chunk, each proved before.
    ///
    /// @param sink gets memory outside the heap, to be read until it returns
    /// @throws dev.stepd.error.ServiceException `CONFLICT` naming the chunk that is missing or damaged; what comes before it was handed
    ///     over
    void read(StoredSnapshot snapshot, Consumer<MemorySegment> sink);

    /// Says whether a snapshot stays until it is deleted; an unknown id is no error.
    void pin(String sessionId, String snapshotId, boolean pinned);

    /// Removes a snapshot, and of its bytes what no other uses; an unknown id is no error.
    void deleteSnapshot(String sessionId, String snapshotId);

    @Override
    void close();

    /// A snapshot being written by one thread. [#close] without [#complete] leaves nothing of it.
    interface Writing extends AutoCloseable {
        /// The bytes that follow are an array of so many. A large one is found again when another snapshot has it unchanged,
        /// and is not stored again.
        void begin(long arrayBytes);

        /// Appends bytes.
        void write(MemorySegment bytes);

        /// Makes the snapshot visible and durable, and the session's row the one given to [SnapshotStore#write], both
        /// or neither.
        ///
        /// @return the snapshot as it is kept
        StoredSnapshot complete(String digest);

        @Override
        void close();
    }
}
