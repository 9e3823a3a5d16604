package dev.stepd.store.jdbc;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.store.SnapshotStoreConformance;
import dev.stepd.store.StoredSnapshot;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Chunks that several snapshots use while others are written and deleted, and chunks that were damaged.
abstract class ChunksConformance {
    private static final long BYTES = 9 << 20;

    @TempDir
    Path folder;

    private final Arena arena = Arena.ofShared();
    private final ExecutorService threads = Executors.newCachedThreadPool();
    private JdbcSnapshotStore store;

    abstract JdbcSnapshotStore open();

    /// Past the store, as another server or a hand does.
    abstract Connection connect() throws SQLException;

    @BeforeEach
    void openStore() {
        store = open();
    }

    @AfterEach
    void closeStore() {
        threads.shutdownNow();
        store.close();
        arena.close();
    }

    private MemorySegment filled(int with) {
        return arena.allocate(BYTES).fill((byte) with);
    }

    private StoredSnapshot write(String session, String id, long step, MemorySegment bytes) {
        try (var writing = store.write(SnapshotStoreConformance.session(session), SnapshotStoreConformance.snapshot(session, id, step, BYTES))) {
            writing.write(bytes);
            return writing.complete("sha256:d");
        }
    }

    private void assertReads(StoredSnapshot snapshot, MemorySegment bytes) {
        assertThat(SnapshotStoreConformance.read(store, snapshot, arena).mismatch(bytes)).isEqualTo(-1);
    }

    private long count(String table) throws SQLException {
        try (var connection = connect(); var rows = connection.createStatement().executeQuery("SELECT COUNT(*) FROM " + table)) {
            rows.next();
            return rows.getLong(1);
        }
    }

    private void execute(String sql) throws SQLException {
        try (var connection = connect(); var statement = connection.createStatement()) {
            statement.executeUpdate(sql);
        }
    }

    /// Has something done that waits for a lock: either it is done without, in this time, or it never is.
    private <T> Future<T> blocked(Callable<T> call) throws Exception {
        var future = threads.submit(call);
        try {
            future.get(300, TimeUnit.MILLISECONDS);
        } catch (TimeoutException e) {
            // as it should
        }
        return future;
    }

    @Test
    void writesAChunkAnewThatIsRemovedMeanwhile() throws Exception {
        var bytes = filled(1);
        write("s", "one", 1, bytes);
        try (var other = connect()) { // another server deletes the snapshot and sweeps
            other.setAutoCommit(false);
            var statement = other.createStatement();
            statement.executeUpdate("DELETE FROM chunk_uses");
            statement.executeUpdate("DELETE FROM chunks");
            var writing = blocked(() -> write("t", "two", 2, bytes));
            assertThat(writing).isNotDone();
            other.commit();
            var written = writing.get(30, TimeUnit.SECONDS);
            assertThat(written.storedBytes()).isPositive();
            assertReads(written, bytes);
        }
    }

    @Test
    void removesNoChunkThatIsAboutToBeUsed() throws Exception {
        var bytes = filled(1);
        write("s", "one", 1, bytes);
        write("t", "two", 1, filled(2));
        try (var other = connect()) { // another server has begun to use them
            other.setAutoCommit(false);
            var statement = other.createStatement();
            statement.executeQuery("SELECT hash FROM chunks WHERE hash IN (SELECT hash FROM chunk_uses WHERE snapshot_id = 'one')"
                    + " FOR UPDATE").close();
            statement.executeUpdate("DELETE FROM chunk_uses WHERE snapshot_id = 'two'");
            statement.executeUpdate("INSERT INTO chunk_uses (snapshot_id, position, hash) SELECT 'two', position, hash FROM chunk_uses"
                    + " WHERE snapshot_id = 'one'");
            store.deleteSnapshot("s", "one");
            other.commit();
        }
        assertReads(store.snapshot("t", "two").orElseThrow(), bytes);
        store.close();
        store = open();
        assertThat(count("chunks")).as("and of no other").isEqualTo(2);
        assertReads(store.snapshot("t", "two").orElseThrow(), bytes);
    }

    @Test
    void staysWholeWhileManyWriteAndDeleteTheSame() throws Exception {
        var contents = new MemorySegment[] {filled(1), filled(2)};
        var running = new ArrayList<Future<Void>>();
        for (int thread = 0; thread < 3; thread++) {
            var session = "s" + thread;
            running.add(threads.submit(() -> {
                for (int round = 1; round <= 12; round++) {
                    var bytes = contents[round / 2 % 2];
                    var written = write(session, session + "-" + round, round, bytes);
                    assertReads(written, bytes);
                    if (round > 1) {
                        store.deleteSnapshot(session, session + "-" + (round - 1));
                    }
                    assertReads(written, bytes);
                }
                return null;
            }));
        }
        for (var one : running) {
            one.get(60, TimeUnit.SECONDS);
        }
        assertThat(count("snapshots")).isEqualTo(3);
        store.close();
        store = open(); // a sweep leaves what another holds right then
        assertThat(count("chunks")).isEqualTo(2);
    }

    @Test
    void sweepsWhatAKillLeftWhenItOpens() throws Exception {
        write("s", "one", 1, filled(1));
        write("s", "two", 2, filled(2));
        execute("DELETE FROM chunk_uses WHERE snapshot_id = 'one'");
        execute("DELETE FROM snapshots WHERE id = 'one'");
        assertThat(count("chunks")).isEqualTo(4);
        store.close();
        store = open();
        assertThat(count("chunks")).isEqualTo(2);
        assertReads(store.snapshot("s", "two").orElseThrow(), filled(2));
    }

    @Test
    void tellsWhichChunkIsDamaged() throws Exception {
        var bytes = arena.allocate(BYTES);
        new java.util.Random(5).ints(BYTES / 4).forEach(new java.util.function.IntConsumer() {
            private long at;

            @Override
            public void accept(int value) {
                bytes.set(java.lang.foreign.ValueLayout.JAVA_INT, at, value);
                at += 4;
            }
        });
        var written = write("s", "one", 1, bytes);
        assertReads(written, bytes);
        var second = "hash = (SELECT hash FROM chunk_uses WHERE position = 1)";
        execute("UPDATE chunks SET data = (SELECT data FROM chunks WHERE hash = (SELECT hash FROM chunk_uses WHERE position = 0)) WHERE " + second);
        assertDamaged(written, "chunk 1 has not the content it was stored with");
        execute("UPDATE chunks SET encoding = 'zstd' WHERE " + second);
        assertDamaged(written, "chunk 1 cannot be decompressed");
        execute("UPDATE chunks SET encoding = 'lz9' WHERE " + second);
        assertDamaged(written, "chunk 1 is kept in encoding lz9");
        execute("UPDATE chunks SET stored_count = 7 WHERE " + second);
        assertDamaged(written, "chunk 1 has not the 7 bytes it should");
        execute("UPDATE chunks SET byte_count = 2000000000, stored_count = 2000000000 WHERE " + second);
        assertDamaged(written, "chunk 1 has 2000000000 bytes");
        execute("DELETE FROM chunk_uses WHERE position = 2");
        execute("DELETE FROM chunk_uses WHERE position = 1");
        assertDamaged(written, "chunk 1 is missing");
    }

    @Test
    void storesADamagedChunkAgainWhenItComesAgain() throws Exception {
        var bytes = filled(3);
        bytes.set(java.lang.foreign.ValueLayout.JAVA_BYTE, BYTES - 1, (byte) 4); // so that the last chunk is another
        var written = write("s", "one", 1, bytes);
        var last = " WHERE hash = (SELECT MAX(hash) FROM chunk_uses WHERE position = (SELECT MAX(position) FROM chunk_uses))";
        int number = 0;
        for (var damage : java.util.List.of("data = (SELECT data FROM chunks WHERE hash = (SELECT MAX(hash) FROM chunk_uses WHERE position = 0))",
                "encoding = 'raw'", "encoding = 'lz9'", "stored_count = stored_count - 1", "byte_count = byte_count - 1")) {
            execute("UPDATE chunks SET " + damage + last);
            assertThatThrownBy(() -> store.read(written, _ -> {})).as(damage).isInstanceOf(ServiceException.class);
            assertReads(write("s", "again" + number++, 2, bytes), bytes);
            assertReads(written, bytes);
        }
        assertThat(write("s", "unchanged", 3, bytes).storedBytes()).isZero();
    }

    private void assertDamaged(StoredSnapshot snapshot, String how) {
        var handed = new AtomicInteger();
        assertThatThrownBy(() -> store.read(snapshot, piece -> handed.addAndGet((int) piece.byteSize())))
                .isInstanceOfSatisfying(ServiceException.class, e -> assertThat(e.code()).isEqualTo(ErrorCode.CONFLICT))
                .hasMessageStartingWith("snapshot one is damaged: " + how);
        assertThat(handed).as("what is sound before it").hasValue(4 << 20);
    }
}
