package dev.stepd.store;

import java.util.Map;
import java.util.Set;

/// Whose the sessions of a store are, as one look found it.
///
/// @param claimed sessions that became ours since the last look, because whoever had them is gone: to be brought back
/// @param lost sessions that were ours and are no more, with the owner they have now, empty when they were deleted: to be
///     given up, and then let go with [SnapshotStore#letGo]
/// @param elsewhere every session of another server, with its owner
public record Census(Set<String> claimed, Map<String, String> lost, Map<String, String> elsewhere) {
    public Census {
        claimed = Set.copyOf(claimed);
        lost = Map.copyOf(lost);
        elsewhere = Map.copyOf(elsewhere);
    }
}
