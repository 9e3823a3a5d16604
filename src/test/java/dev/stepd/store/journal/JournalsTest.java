package dev.stepd.store.journal;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.tensor.Fingerprint;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// What is read back from files that were written whole, torn at any byte, and flipped at any bit.
class JournalsTest {
    private static final BitSet PRESENT = BitSet.valueOf(new long[] {5});
    private static final BitSet GIVEN = new BitSet();

    private static final int SEGMENT = 4096;

    @TempDir
    Path root;

    /// A payload of a step: odd in length, with the step in it.
    private static byte[] payload(long step) {
        var bytes = new byte[11 + (int) (step % 4)];
        new Random(step).nextBytes(bytes);
        return bytes;
    }

    private static Entry entry(long step) {
        return Entry.step(step, new Fingerprint(step * 10, step * 7), PRESENT, GIVEN);
    }

    private List<Path> write(Journals journals, int steps) throws IOException {
        try (var arena = Arena.ofConfined(); var journal = journals.begin("s", "l", "p")) {
            journal.rotate(1);
            for (long step = 1; step <= steps; step++) {
                var bytes = payload(step);
                var memory = arena.allocateFrom(ValueLayout.JAVA_BYTE, bytes);
                journal.append(entry(step), List.of(memory.asSlice(0, 3), memory.asSlice(3)));
            }
            journal.sync().join();
        }
        return files();
    }

    private List<Path> files() throws IOException {
        try (var files = Files.list(root.resolve("s"))) {
            return files.sorted().toList();
        }
    }

    /// The steps that are read, each proved.
    private static List<Long> steps(Reading reading) {
        var steps = new ArrayList<Long>();
        for (var kept : reading.records()) {
            long step = kept.entry().step();
            assertThat(kept.entry()).isEqualTo(entry(step));
            assertThat(kept.payload().mismatch(MemorySegment.ofArray(payload(step)))).isEqualTo(-1);
            steps.add(step);
        }
        return steps;
    }

    private static List<Long> upTo(long step) {
        var steps = new ArrayList<Long>();
        for (long one = 1; one <= step; one++) {
            steps.add(one);
        }
        return steps;
    }

    @Test
    void readsWhatWasWritten() throws IOException {
        try (var journals = new Journals(root, 300); var arena = Arena.ofConfined()) {
            assertThat(write(journals, 20)).hasSizeGreaterThan(5);
            var all = journals.read("s", "l", 0, arena);
            assertThat(steps(all)).isEqualTo(upTo(20));
            assertThat(all.damage()).isEmpty();
            assertThat(all.program()).isEqualTo("p");
            assertThat(steps(journals.read("s", "l", 7, arena))).startsWith(8L).hasSize(13);
            assertThat(journals.read("s", "other", 0, arena).damage()).isPresent();
        }
    }

    @Test
    void isCutWhereverItIsTorn() throws IOException {
        try (var journals = new Journals(root, 1 << 20)) {
            var file = write(journals, 4).getFirst();
            var whole = Files.readAllBytes(file);
            long before = 0;
            for (int length = whole.length - 1; length >= 0; length--) {
                Files.write(file, Arrays.copyOf(whole, length));
                try (var arena = Arena.ofConfined()) {
                    var reading = journals.read("s", "l", 0, arena);
                    var steps = steps(reading);
                    assertThat(steps).as("cut at %d", length).isEqualTo(upTo(steps.size())).hasSizeLessThan(4);
                    boolean headerWhole = reading.last() != null;
                    assertThat(reading.damage().isPresent()).as("cut at %d", length).isEqualTo(!headerWhole);
                    before = Math.max(before, steps.size());
                    if (headerWhole) {
                        goesOnFrom(journals, reading, steps.size());
                    }
                }
            }
            assertThat(before).isEqualTo(3);
        }
    }

    /// A file of a segment's size with records of another session, as if a snapshot had covered them.
    private void leaveSpare(Journals journals) throws IOException {
        try (var arena = Arena.ofConfined(); var journal = journals.begin("old", "l", "p")) {
            for (long step = 1; step <= 9; step++) {
                // where the records of the test will be, as long and of the same steps, but not the same
                journal.append(entry(step), List.of(arena.allocateFrom(ValueLayout.JAVA_BYTE, payload(step + 48))));
            }
        }
        Path full;
        try (var files = Files.list(root.resolve("old"))) {
            full = files.findFirst().orElseThrow();
        }
        Files.createDirectories(root.resolve("spare"));
        Files.write(root.resolve("spare").resolve("1.spare"), Arrays.copyOf(Files.readAllBytes(full), SEGMENT));
        journals.delete("old");
    }

    private Path writeOverSpare(int steps) throws IOException {
        try (var before = new Journals(root, SEGMENT)) {
            leaveSpare(before);
        }
        try (var journals = new Journals(root, SEGMENT)) {
            var file = write(journals, steps).getFirst();
            assertThat(file).hasSize(SEGMENT);
            return file;
        }
    }

    @Test
    void isCutWhereverItIsTornOverWhatWasThereBefore() throws IOException {
        var file = writeOverSpare(4);
        var whole = Files.readAllBytes(file);
        try (var journals = new Journals(root, SEGMENT); var arena = Arena.ofConfined()) {
            var ends = journals.read("s", "l", 0, arena).records().stream().map(kept -> kept.place().offset()).toList();
            leaveSpare(journals);
            var old = Files.readAllBytes(root.resolve("spare").resolve("1.spare"));
            for (int torn = ends.getFirst().intValue(); torn < SEGMENT; torn++) {
                var mixed = whole.clone();
                System.arraycopy(old, torn, mixed, torn, SEGMENT - torn);
                Files.write(file, mixed);
                var reading = journals.read("s", "l", 0, arena);
                var steps = steps(reading);
                assertThat(steps).as("torn at %d", torn).isEqualTo(upTo(steps.size()));
                assertThat(reading.damage()).as("torn at %d", torn).isEmpty();
                if (torn % 37 == 0) {
                    goesOnFrom(journals, reading, steps.size());
                }
            }
        }
    }

    @Test
    void neverReadsAFlippedBitOverWhatWasThereBefore() throws IOException {
        var file = writeOverSpare(4);
        var whole = Files.readAllBytes(file);
        try (var journals = new Journals(root, SEGMENT); var arena = Arena.ofConfined()) {
            long end = Optional.ofNullable(journals.read("s", "l", 0, arena).last()).orElseThrow().offset();
            for (int bit = 0; bit < end * 8; bit++) {
                var flipped = whole.clone();
                flipped[bit / 8] ^= (byte) (1 << bit % 8);
                Files.write(file, flipped);
                var reading = journals.read("s", "l", 0, arena);
                assertThat(steps(reading)).isEqualTo(upTo(reading.records().size())).hasSizeLessThan(4);
                assertThat(reading.damage().isPresent() || reading.records().size() == 3).as("bit %d", bit).isTrue();
            }
        }
    }

    @Test
    void takesBackOverWhatWasThereBefore() throws IOException {
        var file = writeOverSpare(3);
        try (var journals = new Journals(root, SEGMENT); var arena = Arena.ofConfined()) {
            leaveSpare(journals);
        }
        Files.delete(file);
        try (var journals = new Journals(root, SEGMENT); var arena = Arena.ofConfined()) {
            try (var journal = journals.begin("s", "l", "p")) {
                for (long step : new long[] {1, 2, 3}) {
                    journal.append(entry(step), List.of(arena.allocateFrom(ValueLayout.JAVA_BYTE, payload(step))));
                }
                journal.withdraw();
                journal.sync().join();
            }
            assertThat(files().getFirst()).hasSize(SEGMENT);
            var reading = journals.read("s", "l", 0, arena);
            assertThat(steps(reading)).isEqualTo(upTo(2));
            assertThat(reading.damage()).isEmpty();
        }
    }

    @Test
    void usesFilesAgainThatASnapshotHasCovered() throws IOException {
        writeOverSpare(6);
        try (var journals = new Journals(root, SEGMENT); var arena = Arena.ofConfined()) {
            try (var journal = journals.begin("s", "l", "p")) {
                journal.rotate(7);
                journal.sync().join();
            }
            journals.drop("s", "l", 6);
            try (var journal = journals.begin("other", "l", "p")) {
                journal.append(entry(1), List.of(arena.allocateFrom(ValueLayout.JAVA_BYTE, payload(1))));
                journal.sync().join();
            }
            assertThat(steps(journals.read("other", "l", 0, arena))).containsExactly(1L);
            assertThat(SegmentFile.in(root.resolve("other")).getFirst().path()).hasSize(SEGMENT);
            assertThat(journals.read("s", "l", 6, arena).damage()).isEmpty();
        }
    }

    @Test
    void makesFilesAheadAndNoneWhereNoneAreWanted() throws IOException {
        try (var spares = new Spares(root.resolve("spare"), SEGMENT)) {
            spares.makeAhead(SEGMENT);
        }
        try (var spares = new Spares(root.resolve("spare"), SEGMENT)) {
            assertThat(spares.take(2 * SEGMENT)).isEmpty();
            var made = spares.take(SEGMENT).orElseThrow();
            assertThat(made).hasBinaryContent(new byte[SEGMENT]);
            assertThat(spares.take(SEGMENT)).isEmpty();
            assertThat(spares.keep(made)).isTrue();
            assertThat(spares.clear()).isTrue();
            assertThat(spares.clear()).isFalse();
            assertThat(root.resolve("spare")).isEmptyDirectory();
            Files.write(made, new byte[SEGMENT - 1]);
            assertThat(spares.keep(made)).isFalse();
        }
    }

    private static void goesOnFrom(Journals journals, Reading reading, long step) {
        try (var arena = Arena.ofConfined();
                var journal = journals.resume("s", "l", "p", Optional.ofNullable(reading.last()).orElseThrow())) {
            journal.append(entry(step + 1), List.of(arena.allocateFrom(ValueLayout.JAVA_BYTE, payload(step + 1))));
            journal.sync().join();
            assertThat(steps(journals.read("s", "l", 0, arena))).isEqualTo(upTo(step + 1));
        }
    }

    @Test
    void neverReadsAFlippedBit() throws IOException {
        try (var journals = new Journals(root, 260)) {
            var files = write(journals, 5);
            assertThat(files).hasSizeGreaterThan(1);
            for (var file : files) {
                var whole = Files.readAllBytes(file);
                for (int bit = 0; bit < recordsEnd(whole) * 8; bit++) {
                    var flipped = whole.clone();
                    flipped[bit / 8] ^= (byte) (1 << bit % 8);
                    Files.write(file, flipped);
                    try (var arena = Arena.ofConfined()) {
                        var reading = journals.read("s", "l", 0, arena);
                        var steps = steps(reading);
                        assertThat(steps).isEqualTo(upTo(steps.size())).hasSizeLessThan(5);
                        // what the last record of all loses looks like a crash, everything else is told
                        assertThat(reading.damage().isPresent() || steps.size() == 4).as("bit %d of %s", bit, file.getFileName()).isTrue();
                    }
                }
                Files.write(file, whole);
            }
        }
    }

    /// Behind it are the zeros of a file made ahead, if it was.
    private static int recordsEnd(byte[] file) {
        int end = file.length;
        while (file[end - 1] == 0) {
            end--;
        }
        return (end + Long.BYTES - 1) / Long.BYTES * Long.BYTES;
    }

    /// Written by the first version: `kept/journal-v1`.
    @Test
    void readsAndContinuesWhatTheFirstVersionWrote() throws IOException {
        try (var kept = getClass().getResourceAsStream("/kept/journal-v1/0000000000000001-l.journal")) {
            Files.createDirectories(root.resolve("s"));
            Files.copy(Optional.ofNullable(kept).orElseThrow(), root.resolve("s").resolve("0000000000000001-l.journal"));
        }
        try (var journals = new Journals(root, 1 << 20); var arena = Arena.ofConfined()) {
            var reading = journals.read("s", "l", 0, arena);
            assertThat(steps(reading)).isEqualTo(upTo(4));
            goesOnFrom(journals, reading, 4);
        }
    }

    @Test
    void aRecordTakenBackIsGone() throws IOException {
        try (var journals = new Journals(root, 1 << 20); var arena = Arena.ofConfined()) {
            try (var journal = journals.begin("s", "l", "p")) {
                for (long step : new long[] {1, 2, 3}) {
                    journal.append(entry(step), List.of(arena.allocateFrom(ValueLayout.JAVA_BYTE, payload(step))));
                    if (step == 2) {
                        journal.withdraw();
                        journal.append(entry(2), List.of(arena.allocateFrom(ValueLayout.JAVA_BYTE, payload(2))));
                    }
                }
                journal.sync().join();
            }
            assertThat(steps(journals.read("s", "l", 0, arena))).isEqualTo(upTo(3));
        }
    }

    @Test
    void dropsWhatIsCoveredAndPutsDamageAside() throws IOException {
        try (var journals = new Journals(root, 1); var arena = Arena.ofConfined()) {
            write(journals, 6);
            journals.drop("s", "l", 4);
            assertThat(steps(journals.read("s", "l", 4, arena))).containsExactly(5L, 6L);
            assertThat(journals.read("s", "l", 3, arena).damage()).isPresent();
            journals.putAside("s", "next", 4);
            assertThat(files()).allMatch(file -> file.toString().endsWith(".journal.damaged-after-4"));
            assertThat(journals.read("s", "next", 4, arena).damagedBefore()).contains(4L);
            journals.delete("s");
            assertThat(root.resolve("s")).doesNotExist();
        }
    }
}
