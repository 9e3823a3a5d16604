package dev.stepd.store.journal;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/// What a journal holds behind a snapshot, as far as it is whole.
///
/// @param program what its steps were made by; empty without files
/// @param records in order, the steps without a gap from the snapshot on; their payloads are valid as long as the arena they were read into
/// @param damage what is wrong with the journal, if there is more in it than can be reached; a torn end is no damage
/// @param damagedBefore the step after which the journal broke at an earlier recovery, if files of then are still there
/// @param last where to go on, absent without files
/// @param bytes of the files
public record Reading(
        String program,
        List<Kept> records,
        Optional<String> damage,
        Optional<Long> damagedBefore,
        @Nullable Place last,
        long bytes) {
    /// One record.
    ///
    /// @param place where it begins
    public record Kept(Entry entry, MemorySegment payload, Place place) {}

    /// A place in a file, to go on at.
    ///
    /// @param seal what the file's records are proved with
    public record Place(Path file, String seal, long offset) {}
}
