package dev.stepd.store.jdbc;

import java.io.ByteArrayInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// The chunks of all snapshots of all sessions. Each is kept once, by its content, for as long as a snapshot uses it.
///
/// A chunk and its first use are inserted in one transaction; one that is there is locked, and then used. A sweep locks chunks that
/// nobody uses, looks again, and deletes those that still nobody does. So whoever comes second sees what the first did, also on
/// another server, and a kill at any moment leaves at most chunks without a use, for the next sweep.
final class Chunks {
    /// No chunk is longer, whatever a row says.
    static final int BYTES_MAX = 4 << 20;

    private static final Logger LOG = LoggerFactory.getLogger(Chunks.class);
    private static final int SWEPT_AT_ONCE = 16;
    private static final String UNUSED = " NOT EXISTS (SELECT 1 FROM chunk_uses WHERE chunk_uses.hash = chunks.hash)";

    private final JdbcSnapshotStore store;

    Chunks(JdbcSnapshotStore store) {
        this.store = store;
    }

    /// The name of the first bytes of `plain`.
    static String hash(byte[] plain, int length) {
        try {
            var sha = MessageDigest.getInstance("SHA-256");
            sha.update(plain, 0, length);
            return HexFormat.of().formatHex(sha.digest());
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }

    /// A place in a snapshot and the bytes that belong there.
    record Use(String snapshot, long position, String hash, byte[] plain, int length) {}

    /// Has a snapshot use a chunk, which is added if there is none; in a transaction that may fail because another one adds or
    /// removes it right now ([JdbcSnapshotStore#append] tries again).
    ///
    /// @return the bytes that were added to what is stored
    static int use(Connection connection, Use use, Compression compression) throws SQLException {
        int added = isThere(connection, use.hash()) ? 0 : add(connection, use, compression);
        JdbcSnapshotStore.update(connection, "INSERT INTO chunk_uses (snapshot_id, position, hash) VALUES (?, ?, ?)",
                use.snapshot(), use.position(), use.hash());
        return added;
    }

    /// Locks it if so.
    private static boolean isThere(Connection connection, String hash) throws SQLException {
        try (var query = JdbcSnapshotStore.prepare(connection, "SELECT 1 FROM chunks WHERE hash = ? FOR UPDATE", hash);
                var rows = query.executeQuery()) {
            return rows.next();
        }
    }

    private static int add(Connection connection, Use use, Compression compression) throws SQLException {
        var count = compression.compress(use.plain(), use.length());
        var data = count.isPresent() ? compression.compressed() : use.plain();
        int stored = count.orElse(use.length());
        try (var insert = connection.prepareStatement(
                "INSERT INTO chunks (hash, encoding, byte_count, stored_count, data) VALUES (?, ?, ?, ?, ?)")) {
            insert.setString(1, use.hash());
            insert.setString(2, count.isPresent() ? "zstd" : "raw");
            insert.setInt(3, use.length());
            insert.setInt(4, stored);
            insert.setBinaryStream(5, new ByteArrayInputStream(data, 0, stored), stored);
            insert.executeUpdate();
        }
        return stored;
    }

    /// The chunks that the snapshots of a condition use, to be swept when those are deleted.
    ///
    /// @param condition over `snapshots`
    static List<String> usedBy(Connection connection, String condition, Object... values) throws SQLException {
        return hashes(connection, "SELECT DISTINCT hash FROM chunk_uses WHERE snapshot_id IN (SELECT id FROM snapshots WHERE "
                + condition + ")", values);
    }

    /// Deletes those of the chunks that no snapshot uses any more. What fails is left for the next sweep of all.
    void sweep(Collection<String> hashes) {
        var left = List.copyOf(hashes);
        try {
            for (int from = 0; from < left.size(); from += SWEPT_AT_ONCE) {
                var some = left.subList(from, Math.min(left.size(), from + SWEPT_AT_ONCE));
                store.transactBytes("removing chunks", connection -> delete(connection, some));
            }
        } catch (RuntimeException e) {
            LOG.warn("chunks without a use stay until stepd starts again: {}", e.getMessage());
        }
    }

    /// Looks for chunks without a use everywhere: a server may have ended before it swept.
    void sweepAll() {
        var found = new ArrayList<String>();
        try {
            store.transactLong("looking for chunks without a use", connection ->
                    found.addAll(hashes(connection, "SELECT hash FROM chunks WHERE" + UNUSED)));
        } catch (RuntimeException e) {
            LOG.warn("chunks without a use stay until stepd starts again: {}", e.getMessage());
        }
        if (!found.isEmpty()) {
            LOG.info("{} chunks without a use are removed", found.size());
            sweep(found);
        }
    }

    private static void delete(Connection connection, List<String> hashes) throws SQLException {
        var locked = hashes(connection, "SELECT hash FROM chunks WHERE hash IN (" + places(hashes.size()) + ") AND" + UNUSED
                + " FOR UPDATE SKIP LOCKED", hashes.toArray());
        if (!locked.isEmpty()) {
            JdbcSnapshotStore.update(connection,
                    "DELETE FROM chunks WHERE hash IN (" + places(locked.size()) + ") AND" + UNUSED, locked.toArray());
        }
    }

    private static String places(int count) {
        return String.join(", ", Collections.nCopies(count, "?"));
    }

    private static List<String> hashes(Connection connection, String sql, Object... values) throws SQLException {
        var hashes = new ArrayList<String>();
        try (var query = JdbcSnapshotStore.prepare(connection, sql, values);
                var rows = query.executeQuery()) {
            while (rows.next()) {
                hashes.add(rows.getString(1));
            }
        }
        return hashes;
    }
}
