package dev.stepd.store.journal;

import dev.stepd.store.journal.Entry.Kind;
import dev.stepd.store.journal.Reading.Place;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/// Reads the segments of one line in order, up to the first thing that does not fit, and tells a torn end from damage: behind a torn end
/// there is nothing valid.
final class Scan {
    private final String session;
    private final String line;
    private final long afterStep;
    private final Arena arena;
    private final List<Reading.Kept> records = new ArrayList<>();
    private long next;
    private String program = "";
    private @Nullable Place last;
    /// What did not fit, until it is known whether anything valid lies behind it.
    private @Nullable String broken;
    private Optional<String> damage = Optional.empty();
    private long bytes;

    Scan(String session, String line, long afterStep, Arena arena) {
        this.session = session;
        this.line = line;
        this.afterStep = afterStep;
        this.next = afterStep + 1;
        this.arena = arena;
    }

    /// @param files of the line, in order
    Reading of(List<SegmentFile> files, Optional<Long> damagedBefore) throws IOException {
        if (files.isEmpty() || files.getFirst().firstStep() > afterStep + 1) {
            damage = Optional.of("its segment that begins at step " + (afterStep + 1) + " is missing");
        }
        for (int i = 0; i < files.size(); i++) {
            boolean covered = i + 1 < files.size() && files.get(i + 1).firstStep() <= afterStep + 1;
            if (!covered) { // what is covered may be in use for something else already
                read(files.get(i));
            }
        }
        if (damage.isEmpty() && last == null) { // the first header was there before anything relied on it
            damage = Optional.ofNullable(broken);
        }
        return new Reading(program, List.copyOf(records), damage, damagedBefore, last, bytes);
    }

    private void read(SegmentFile file) throws IOException {
        var memory = map(file.path());
        var header = RecordFormat.header(memory).filter(h -> h.session().equals(session) && h.line().equals(line)
                && h.firstStep() == file.firstStep());
        if (header.isEmpty()) {
            bytes += memory.byteSize();
            for (var seal : List.of(RecordFormat.seal(session, line, file.firstStep()), line)) {
                brokenAt(memory, seal, 0, file.path(), "its header is not whole");
            }
            return;
        }
        program = header.get().program();
        var seal = header.get().seal();
        long at = header.get().byteCount();
        for (var found = RecordFormat.record(seal, memory, at); found.isPresent(); found = RecordFormat.record(seal, memory, at)) {
            take(found.get(), new Place(file.path(), seal, found.get().begin()));
            at = found.get().end();
        }
        if (damage.isEmpty() && broken == null) {
            last = new Place(file.path(), seal, at);
        }
        if (at < memory.byteSize()) {
            brokenAt(memory, seal, at, file.path(), "the record at byte " + at + " is not whole");
        }
        bytes += at;
    }

    private void take(RecordFormat.Found found, Place place) {
        var entry = found.entry();
        if (damage.isPresent() || entry.step() <= afterStep && entry.kind() == Kind.STEP) {
            return;
        }
        long expected = entry.kind() == Kind.STEP ? next : next - 1;
        if (entry.step() < expected && entry.kind() == Kind.ANSWER) {
            return;
        }
        if (entry.step() != expected) {
            damage = Optional.of(broken != null ? broken : "in " + place.file().getFileName() + " step " + entry.step() + " follows step " + (next - 1));
            return;
        }
        broken = null; // half a record of a file that was given up, and the step was written again behind it
        records.add(new Reading.Kept(entry, found.payload(), place));
        next = entry.step() + 1;
    }

    private void brokenAt(MemorySegment memory, String seal, long at, Path file, String how) {
        var what = "in " + file.getFileName() + " " + how;
        if (damage.isPresent()) {
            return;
        }
        if (RecordFormat.search(seal, memory, at).filter(found -> found.entry().step() >= next).isPresent()) {
            damage = Optional.of(what);
        } else if (broken == null) {
            broken = what;
        }
    }

    private MemorySegment map(Path file) throws IOException {
        try (var channel = FileChannel.open(file, StandardOpenOption.READ)) {
            return channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
        }
    }
}
