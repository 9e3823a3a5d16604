package dev.stepd.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// What every [SnapshotStore] must do. A subclass says how to open one.
public abstract class SnapshotStoreConformance {
    private static final Instant CREATED = Instant.parse("2026-01-02T03:04:05.678Z");

    @TempDir
    Path folder;

    private SnapshotStore store;
    private Arena arena;

    /// Opens the store kept in `folder`, with whatever it holds.
    protected abstract SnapshotStore open(Path folder);

    @BeforeEach
    void openStore() {
        store = open(folder);
        arena = Arena.ofShared();
    }

    @AfterEach
    void closeStore() {
        store.close();
        arena.close();
    }

    public static StoredSession session(String id) {
        return new StoredSession(id, "modèle 层", "{\"optimizer\":\"" + "x".repeat(5000) + "\"}", "sha256:1", CREATED);
    }

    public static StoredSnapshot snapshot(String sessionId, String id, long step, long bytes) {
        return new StoredSnapshot(id, sessionId, step, List.of(step, 0L), "sha256:1", "{\"w\":{}}",
                StoredSnapshot.Origin.AUTOMATIC, false, new StoredSnapshot.Parent("p", 1), bytes, 0, "", CREATED.plusSeconds(step));
    }

    /// The bytes of a snapshot.
    public static MemorySegment read(SnapshotStore store, StoredSnapshot snapshot, Arena arena) {
        var all = arena.allocate(snapshot.bytes(), 8);
        var filled = new AtomicLong();
        store.read(snapshot, piece -> MemorySegment.copy(piece, 0, all, filled.getAndAdd(piece.byteSize()), piece.byteSize()));
        assertThat(filled).hasValue(snapshot.bytes());
        return all;
    }

    @Test
    void keepsSessionsAcrossReopening() {
        store.put(session("b"));
        store.put(session("a"));
        var renamed = new StoredSession("a", "other", "{}", "sha256:2", CREATED);
        store.put(renamed);
        reopen();
        assertThat(store.sessions()).containsExactly(renamed, session("b"));
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 1, (4 << 20) - 1, 4 << 20, (4 << 20) + 1, (13 << 20) + 5})
    void returnsTheBytesItWasGiven(long bytes) {
        var data = random(bytes);
        write(snapshot("s", "one", 3, bytes), data, 1 << 20);
        reopen();
        var found = store.snapshot("s", "one").orElseThrow();
        assertThat(found.step()).isEqualTo(3);
        assertThat(found.tensorSteps()).containsExactly(3L, 0L);
        assertThat(found.digest()).isEqualTo("sha256:d");
        assertThat(found.created()).isEqualTo(CREATED.plusSeconds(3));
        assertThat(found.manifest()).isEqualTo("{\"w\":{}}");
        assertThat(read(store, found, arena).mismatch(data)).isEqualTo(-1);
    }

    @Test
    void listsCompleteSnapshotsOldestFirst() {
        write(snapshot("s", "later", 9, 10), random(10), 3);
        write(snapshot("s", "earlier", 2, 10), random(10), 3);
        write(snapshot("other", "foreign", 1, 10), random(10), 3);
        assertThat(store.snapshots("s")).extracting(StoredSnapshot::id).containsExactly("earlier", "later");
        assertThat(store.snapshot("s", "foreign")).isEmpty();
        assertThat(store.snapshots("nobody")).isEmpty();
    }

    @Test
    void hidesASnapshotUntilItIsComplete() {
        var bytes = random(5 << 20);
        try (var writing = store.write(session("s"), snapshot("s", "one", 1, bytes.byteSize()))) {
            writing.write(bytes);
            assertThat(store.snapshots("s")).isEmpty();
            assertThat(store.snapshot("s", "one")).isEmpty();
            writing.complete("sha256:d");
            assertThat(store.snapshots("s")).hasSize(1);
        }
        assertThat(store.snapshots("s")).hasSize(1);
    }

    @Test
    void leavesNothingOfAnAbandonedSnapshot() {
        try (var writing = store.write(session("s"), snapshot("s", "one", 1, 5 << 20))) {
            writing.write(random(1 << 20));
        }
        assertThat(store.snapshots("s")).isEmpty();
        write(snapshot("s", "one", 1, 10), random(10), 10);
        assertThat(store.snapshots("s")).hasSize(1);
    }

    @Test
    void takesTheSessionsRowWithTheSnapshot() {
        store.put(session("s"));
        var changed = new StoredSession("s", "changed", "{\"lr\":2}", "sha256:2", CREATED);
        try (var writing = store.write(changed, snapshot("s", "one", 1, 0))) {
            assertThat(store.sessions()).containsExactly(session("s"));
            writing.complete("sha256:d");
        }
        assertThat(store.sessions()).containsExactly(changed);
    }

    @Test
    void deletesASessionWithItsSnapshots() {
        write(snapshot("s", "one", 1, 10), random(10), 10);
        write(snapshot("t", "two", 1, 10), random(10), 10);
        store.deleteSession("s");
        store.deleteSession("unknown");
        assertThat(store.sessions()).extracting(StoredSession::id).containsExactly("t");
        assertThat(store.snapshots("s")).isEmpty();
        assertThat(store.snapshots("t")).hasSize(1);
    }

    @Test
    void deletesOneSnapshot() {
        write(snapshot("s", "one", 1, 10), random(10), 10);
        write(snapshot("s", "two", 2, 10), random(10), 10);
        store.deleteSnapshot("s", "one");
        store.deleteSnapshot("t", "two");
        assertThat(store.snapshots("s")).extracting(StoredSnapshot::id).containsExactly("two");
    }

    @Test
    void refusesToReadWhatIsNotThere() {
        var gone = snapshot("s", "gone", 1, 10);
        assertThatThrownBy(() -> read(store, gone, arena))
                .isInstanceOfSatisfying(ServiceException.class, e -> assertThat(e.code()).isEqualTo(ErrorCode.CONFLICT))
                .hasMessage("snapshot gone is damaged: chunk 0 is missing");
        write(snapshot("s", "one", 1, 10), random(10), 10);
        assertThatThrownBy(() -> read(store, snapshot("s", "one", 1, 9), arena)).hasMessageContaining("chunk 0 has 10 bytes");
    }

    @Test
    void refusesMoreOrFewerBytesThanAnnounced() {
        try (var writing = store.write(session("s"), snapshot("s", "one", 1, 10))) {
            assertThatThrownBy(() -> writing.write(random(11))).isInstanceOf(IllegalStateException.class);
            assertThatThrownBy(() -> writing.complete("sha256:d")).isInstanceOf(IllegalStateException.class);
        }
        assertThat(store.snapshots("s")).isEmpty();
    }

    @Test
    void opensWithTheSessionsThatNobodyHas() {
        store.put(session("a"));
        store.put(session("b"));
        var before = store.owner();
        assertThat(store.census().claimed()).isEmpty();
        reopen();
        assertThat(store.owner()).isNotEqualTo(before);
        var census = store.census();
        assertThat(census.claimed()).containsExactlyInAnyOrder("a", "b");
        assertThat(census.lost()).isEmpty();
        assertThat(census.elsewhere()).isEmpty();
        assertThat(store.census().claimed()).isEmpty();
        store.requireOwned("a");
        store.put(session("a"));
    }

    @Test
    void removesWhatWasBegunBeforeAndNeverCompleted() {
        var abandoned = store.write(session("s"), snapshot("s", "one", 1, 10));
        write(snapshot("s", "two", 2, 10), random(10), 10);
        assertThatThrownBy(() -> {
            abandoned.write(random(10));
            abandoned.complete("sha256:d");
        }).isInstanceOf(ServiceException.class);
        assertThat(store.snapshots("s")).extracting(StoredSnapshot::id).containsExactly("two");
    }

    @Test
    void storesTheSameBytesOnceForAllSessions() {
        long bytes = (9 << 20) + 17;
        assertThat(write(snapshot("s", "one", 1, bytes), random(bytes), 1 << 20).storedBytes()).isEqualTo(bytes);
        assertThat(write(snapshot("s", "two", 2, bytes), random(bytes), 1 << 20).storedBytes()).isZero();
        assertThat(write(snapshot("other", "three", 1, bytes), random(bytes), 1 << 20).storedBytes()).isZero();
        store.deleteSnapshot("s", "one");
        store.deleteSession("other");
        reopen();
        assertThat(read(store, store.snapshot("s", "two").orElseThrow(), arena).mismatch(random(bytes))).isEqualTo(-1);
        store.deleteSnapshot("s", "two");
        assertThat(write(snapshot("s", "four", 4, bytes), random(bytes), 1 << 20).storedBytes()).as("nothing was left").isEqualTo(bytes);
    }

    @Test
    void findsAnUnchangedArrayWhateverLiesBeforeIt() {
        var large = random(5 << 20);
        writeArrays(snapshot("s", "one", 1, large.byteSize() + 4 + 7), random(4), large, random(7));
        var second = writeArrays(snapshot("s", "two", 2, large.byteSize() + 1000 + 7), random(1000), large, random(7));
        assertThat(second.storedBytes()).isEqualTo(1000);
        var third = writeArrays(snapshot("s", "three", 3, large.byteSize() + 8), random(3), random(5), large);
        assertThat(third.storedBytes()).isEqualTo(8);
        assertThat(read(store, third, arena).asSlice(8).mismatch(large)).isEqualTo(-1);
    }

    @Test
    void compressesWhatGainsByIt() {
        long bytes = 6 << 20;
        var codes = random(bytes);
        for (long i = 0; i < bytes; i++) {
            codes.set(ValueLayout.JAVA_BYTE, i, (byte) (codes.get(ValueLayout.JAVA_BYTE, i) & 15));
        }
        var written = write(snapshot("s", "one", 1, bytes), codes, 1 << 20);
        assertThat(written.storedBytes()).isBetween(bytes / 3, bytes * 2 / 3);
        assertThat(read(store, written, arena).mismatch(codes)).isEqualTo(-1);
        var zeros = arena.allocate(100);
        assertThat(write(snapshot("s", "two", 2, 100), zeros, 100).storedBytes()).isLessThan(50);
        assertThat(read(store, store.snapshot("s", "two").orElseThrow(), arena).mismatch(zeros)).isEqualTo(-1);
    }

    @Test
    void leavesNoChunkOfWhatWasAbandoned() {
        long bytes = 5 << 20;
        try (var writing = store.write(session("s"), snapshot("s", "one", 1, bytes + 1))) {
            writing.write(random(bytes));
        }
        assertThat(write(snapshot("s", "two", 2, bytes), random(bytes), bytes).storedBytes()).isEqualTo(bytes);
        var begun = store.write(session("s"), snapshot("s", "three", 3, bytes + 1));
        begun.write(random(bytes + 1).asSlice(0, bytes));
        store.deleteSession("s");
        assertThat(write(snapshot("s", "four", 4, bytes + 1), random(bytes + 1), bytes).storedBytes()).isEqualTo(bytes + 1);
    }

    @Test
    void keepsPinsAndParents() {
        var first = write(snapshot("s", "one", 1, 10), random(10), 10);
        assertThat(first.pinned()).isFalse();
        store.pin("s", "one", true);
        store.pin("s", "unknown", true);
        write(snapshot("s", "two", 2, 10).withParent(first.asParent()), random(10), 10);
        store.deleteSnapshot("s", "one");
        write(snapshot("s", "three", 3, 10), random(10), 10);
        store.pin("s", "three", true);
        reopen();
        assertThat(store.snapshots("s")).extracting(StoredSnapshot::pinned).containsExactly(false, true);
        assertThat(store.snapshots("s").getFirst().parent()).isEqualTo(new StoredSnapshot.Parent("one", 1));
    }

    private StoredSnapshot writeArrays(StoredSnapshot snapshot, MemorySegment... arrays) {
        try (var writing = store.write(session(snapshot.sessionId()), snapshot)) {
            for (var array : arrays) {
                writing.begin(array.byteSize());
                writing.write(array);
            }
            return writing.complete("sha256:d");
        }
    }

    private StoredSnapshot write(StoredSnapshot snapshot, MemorySegment data, long piece) {
        try (var writing = store.write(session(snapshot.sessionId()), snapshot)) {
            for (long at = 0; at < data.byteSize(); at += piece) {
                writing.write(data.asSlice(at, Math.min(piece, data.byteSize() - at)));
            }
            return writing.complete("sha256:d");
        }
    }

    private MemorySegment random(long bytes) {
        var data = new byte[(int) bytes];
        new java.util.Random(bytes).nextBytes(data);
        var segment = arena.allocate(bytes, 8);
        MemorySegment.copy(data, 0, segment, ValueLayout.JAVA_BYTE, 0, data.length);
        return segment;
    }

    private void reopen() {
        store.close();
        store = open(folder);
    }
}
