package dev.stepd.store;

import java.time.Instant;
import java.util.List;

/// A complete snapshot as it is kept, without its bytes.
///
/// @param tensorSteps finished steps of each tensor, as declared
/// @param programHash the programs the state belongs to
/// @param manifest what the bytes are, as the store's user wrote it
/// @param digest over what was stored, so that a load can be proved
public record StoredSnapshot(
        String id,
        String sessionId,
        long step,
        List<Long> tensorSteps,
        String programHash,
        String manifest,
        Origin origin,
        long bytes,
        String digest,
        Instant created) {
    /// Who asked for it.
    public enum Origin {
        /// A client; stays until it is deleted.
        REQUESTED,
        /// stepd, for durability; superseded by later ones.
        AUTOMATIC
    }

    public StoredSnapshot {
        tensorSteps = List.copyOf(tensorSteps);
    }
}
