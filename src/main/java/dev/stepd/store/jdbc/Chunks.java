package dev.stepd.store.jdbc;

import java.io.ByteArrayInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Arrays;
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
    /// removes it right now ([JdbcSnapshotStore#append] tries again). One that is there and has not the content it was stored with
    /// any more is replaced, which heals whatever else uses it.
    ///
    /// @return the bytes that were added to what is stored
    static int use(Connection connection, Use use, Compression compression) throws SQLException {
        int added = switch (find(connection, use)) {
            case SOUND -> 0;
            case DAMAGED -> {
                LOG.error("chunk {} was damaged and is stored again", use.hash());
                yield put(connection, "UPDATE chunks SET encoding = ?, byte_count = ?, stored_count = ?, data = ? WHERE hash = ?", use, compression);
            }
            case ABSENT -> put(connection,
                    "INSERT INTO chunks (encoding, byte_count, stored_count, data, hash) VALUES (?, ?, ?, ?, ?)", use, compression);
        };
        JdbcSnapshotStore.update(connection, "INSERT INTO chunk_uses (snapshot_id, position, hash) VALUES (?, ?, ?)",
                use.snapshot(), use.position(), use.hash());
        return added;
    }

    private enum Finding {
        ABSENT,
        SOUND,
        DAMAGED
    }

    /// Looks at a chunk, and locks it if it is there.
    private static Finding find(Connection connection, Use use) throws SQLException {
        try (var query = JdbcSnapshotStore.prepare(connection,
                        "SELECT encoding, byte_count, stored_count, data FROM chunks WHERE hash = ? FOR UPDATE", use.hash());
                var rows = query.executeQuery()) {
            if (!rows.next()) {
                return Finding.ABSENT;
            }
            var stored = rows.getBytes(4);
            boolean counted = rows.getInt(2) == use.length() && rows.getInt(3) == stored.length;
            return counted && isSound(rows.getString(1), stored, use) ? Finding.SOUND : Finding.DAMAGED;
        }
    }

    private static boolean isSound(String encoding, byte[] stored, Use use) {
        if (encoding.equals("raw")) {
            return Arrays.equals(stored, 0, stored.length, use.plain(), 0, use.length());
        }
        var decoded = new byte[use.length()];
        return encoding.equals("zstd") && Compression.decompress(stored, stored.length, decoded, use.length())
                && Arrays.equals(decoded, 0, use.length(), use.plain(), 0, use.length());
    }

    private static int put(Connection connection, String sql, Use use, Compression compression) throws SQLException {
        var count = compression.compress(use.plain(), use.length());
        var data = count.isPresent() ? compression.compressed() : use.plain();
        int stored = count.orElse(use.length());
        try (var statement = connection.prepareStatement(sql)) {
            statement.setString(1, count.isPresent() ? "zstd" : "raw");
            statement.setInt(2, use.length());
            statement.setInt(3, stored);
            statement.setBinaryStream(4, new ByteArrayInputStream(data, 0, stored), stored);
            statement.setString(5, use.hash());
            statement.executeUpdate();
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
