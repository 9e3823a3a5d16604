package dev.stepd.store;

import java.time.Instant;
import java.util.List;

/// A complete snapshot as it is kept, without its bytes.
///
/// @param tensorSteps finished steps of each tensor, as declared
/// @param programHash the programs the state belongs to
/// @param manifest what the bytes are, as the store's user wrote it
/// @param pinned whether it stays until it is deleted
/// @param bytes of all its arrays
/// @param storedBytes what it added to the store, compressed and without what was there already
/// @param digest over what was stored, so that a load can be proved
public record StoredSnapshot(
        String id,
        String sessionId,
        long step,
        List<Long> tensorSteps,
        String programHash,
        String manifest,
        Origin origin,
        boolean pinned,
        Parent parent,
        long bytes,
        long storedBytes,
        String digest,
        Instant created) {
    /// Who asked for it.
    public enum Origin {
        /// A client.
        REQUESTED,
        /// stepd, for durability.
        AUTOMATIC
    }

    /// The snapshot whose state this one's descends from: taken before it, or restored. It may be gone by now.
    ///
    /// @param id empty for none
    public record Parent(String id, long step) {
        public static final Parent NONE = new Parent("", 0);
    }

    public StoredSnapshot {
        tensorSteps = List.copyOf(tensorSteps);
    }

    /// This one as the parent of another.
    public Parent asParent() {
        return new Parent(id, step);
    }

    public StoredSnapshot withParent(Parent parent) {
        return new StoredSnapshot(id, sessionId, step, tensorSteps, programHash, manifest, origin, pinned, parent, bytes, storedBytes,
                digest, created);
    }

    /// This one once all of it is stored.
    public StoredSnapshot completed(String digest, long storedBytes) {
        return new StoredSnapshot(id, sessionId, step, tensorSteps, programHash, manifest, origin, pinned, parent, bytes, storedBytes,
                digest, created);
    }
}
