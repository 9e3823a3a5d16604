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
        for (var file : files) {
            read(file);
        }
        if (damage.isEmpty() && last == null) { // the first header was there before anything relied on it
            damage = Optional.ofNullable(broken);
        }
        return new Reading(program, List.copyOf(records), damage, damagedBefore, last, bytes);
    }

    private void read(SegmentFile file) throws IOException {
        var memory = map(file.path());
        bytes += memory.byteSize();
        var header = RecordFormat.header(memory).filter(h -> h.session().equals(session) && h.line().equals(line)
                && h.firstStep() == file.firstStep());
        if (header.isEmpty()) {
            brokenAt(memory, 0, file.path(), "its header is not whole");
            return;
        }
        program = header.get().program();
        long at = header.get().byteCount();
        for (var found = RecordFormat.record(line, memory, at); found.isPresent(); found = RecordFormat.record(line, memory, at)) {
            take(found.get(), file.path());
            at = found.get().end();
        }
        if (damage.isEmpty() && broken == null) {
            last = new Place(file.path(), at);
        }
        if (at < memory.byteSize()) {
            brokenAt(memory, at, file.path(), "the record at byte " + at + " is not whole");
        }
    }

    private void take(RecordFormat.Found found, Path file) {
        var entry = found.entry();
        if (damage.isPresent() || entry.step() <= afterStep && entry.kind() == Kind.STEP) {
            return;
        }
        long expected = entry.kind() == Kind.STEP ? next : next - 1;
        if (entry.step() < expected && entry.kind() == Kind.ANSWER) {
            return;
        }
        if (entry.step() != expected) {
            damage = Optional.of(broken != null ? broken : "in " + file.getFileName() + " step " + entry.step() + " follows step " + (next - 1));
            return;
        }
        broken = null; // half a record of a file that was given up, and the step was written again behind it
        records.add(new Reading.Kept(entry, found.payload(), new Place(file, found.begin())));
        next = entry.step() + 1;
    }

    private void brokenAt(MemorySegment memory, long at, Path file, String how) {
        var what = "in " + file.getFileName() + " " + how;
        if (damage.isPresent()) {
            return;
        }
        if (RecordFormat.search(line, memory, at).filter(found -> found.entry().step() >= next).isPresent()) {
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
