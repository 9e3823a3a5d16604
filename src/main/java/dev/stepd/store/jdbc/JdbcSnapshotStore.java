package dev.stepd.store.jdbc;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.store.SnapshotStore;
import dev.stepd.store.StoredSession;
import dev.stepd.store.StoredSnapshot;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/// Sessions and snapshots in a relational database, H2 in a folder for now.
///
/// A snapshot is written in many small transactions, so that none grows with the model, and becomes visible with the
/// last one.
public final class JdbcSnapshotStore implements SnapshotStore {
    private static final String SNAPSHOT_COLUMNS =
            "id, session_id, step, tensor_steps, program_hash, manifest, origin, byte_count, digest, created";

    private final Database database;

    private JdbcSnapshotStore(Database database) {
        this.database = database;
    }

    /// Opens the H2 database in `folder`, creating it when absent, and removes what an earlier process left half
    /// written. One process at a time: the file is locked until [#close] or the end of the process, however it ends.
    public static JdbcSnapshotStore h2(Path folder) {
        var store = new JdbcSnapshotStore(Database.h2(folder));
        store.run("removing incomplete snapshots", connection ->
                update(connection, "DELETE FROM snapshots WHERE state <> 'complete'"));
        return store;
    }

    @Override
    public void put(StoredSession session) {
        run("storing session " + session.id(), connection -> {
            connection.setAutoCommit(false);
            put(connection, session);
            connection.commit();
            database.sync(connection);
        });
    }

    @Override
    public List<StoredSession> sessions() {
        return call("listing sessions", connection -> {
            var sessions = new ArrayList<StoredSession>();
            try (var query = connection.prepareStatement(
                            "SELECT id, name, description, program_hash, created FROM sessions ORDER BY id");
                    var rows = query.executeQuery()) {
                while (rows.next()) {
                    sessions.add(new StoredSession(rows.getString(1), rows.getString(2), rows.getString(3),
                            rows.getString(4), rows.getObject(5, OffsetDateTime.class).toInstant()));
                }
            }
            return sessions;
        });
    }

    @Override
    public void deleteSession(String id) {
        run("deleting session " + id, connection -> {
            update(connection, "DELETE FROM sessions WHERE id = ?", id);
            database.sync(connection);
        });
    }

    @Override
    public Writing write(StoredSession session, StoredSnapshot snapshot) {
        run("beginning snapshot " + snapshot.id(), connection -> {
            connection.setAutoCommit(false);
            if (!exists(connection, session.id())) {
                put(connection, session);
            }
            update(connection, "INSERT INTO snapshots (" + SNAPSHOT_COLUMNS + ", state)"
                            + " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'writing')",
                    snapshot.id(), snapshot.sessionId(), snapshot.step(), snapshot.tensorSteps().toString(),
                    snapshot.programHash(), snapshot.manifest(), snapshot.origin().name().toLowerCase(Locale.ROOT),
                    snapshot.bytes(), "", snapshot.created().atOffset(ZoneOffset.UTC));
            connection.commit();
        });
        return new ChunkedWriting(this, session, snapshot);
    }

    @Override
    public List<StoredSnapshot> snapshots(String sessionId) {
        return call("listing snapshots of " + sessionId, connection -> select(connection,
                "SELECT " + SNAPSHOT_COLUMNS + " FROM snapshots WHERE session_id = ? AND state = 'complete'"
                        + " ORDER BY created, id", sessionId));
    }

    @Override
    public Optional<StoredSnapshot> snapshot(String sessionId, String snapshotId) {
        return call("finding snapshot " + snapshotId, connection -> select(connection,
                "SELECT " + SNAPSHOT_COLUMNS + " FROM snapshots WHERE session_id = ? AND id = ? AND state = 'complete'",
                sessionId, snapshotId)).stream().findFirst();
    }

    @Override
    public void read(StoredSnapshot snapshot, MemorySegment into) {
        run("reading snapshot " + snapshot.id(), connection -> ChunkedReading.read(connection, snapshot, into));
    }

    @Override
    public void deleteSnapshot(String sessionId, String snapshotId) {
        run("deleting snapshot " + snapshotId, connection ->
                update(connection, "DELETE FROM snapshots WHERE session_id = ? AND id = ?", sessionId, snapshotId));
    }

    @Override
    public void close() {
        database.close();
    }

    /// The last transaction of a snapshot.
    void complete(StoredSession session, StoredSnapshot snapshot, String digest) {
        run("completing snapshot " + snapshot.id(), connection -> {
            connection.setAutoCommit(false);
            put(connection, session);
            update(connection, "UPDATE snapshots SET state = 'complete', digest = ? WHERE id = ?", digest, snapshot.id());
            connection.commit();
            database.sync(connection);
        });
    }

    private static void put(Connection connection, StoredSession session) throws SQLException {
        int updated = update(connection, "UPDATE sessions SET name = ?, description = ?, program_hash = ? WHERE id = ?",
                session.name(), session.description(), session.programHash(), session.id());
        if (updated == 0) {
            update(connection, "INSERT INTO sessions (id, name, description, program_hash, created) VALUES (?, ?, ?, ?, ?)",
                    session.id(), session.name(), session.description(), session.programHash(),
                    session.created().atOffset(ZoneOffset.UTC));
        }
    }

    private static boolean exists(Connection connection, String sessionId) throws SQLException {
        try (var query = prepare(connection, "SELECT 1 FROM sessions WHERE id = ?", sessionId);
                var rows = query.executeQuery()) {
            return rows.next();
        }
    }

    private static List<StoredSnapshot> select(Connection connection, String sql, Object... values) throws SQLException {
        var snapshots = new ArrayList<StoredSnapshot>();
        try (var query = prepare(connection, sql, values);
                var rows = query.executeQuery()) {
            while (rows.next()) {
                snapshots.add(snapshot(rows));
            }
        }
        return snapshots;
    }

    private static StoredSnapshot snapshot(ResultSet row) throws SQLException {
        return new StoredSnapshot(row.getString(1), row.getString(2), row.getLong(3), longs(row.getString(4)),
                row.getString(5), row.getString(6),
                StoredSnapshot.Origin.valueOf(row.getString(7).toUpperCase(Locale.ROOT)), row.getLong(8),
                row.getString(9), row.getObject(10, OffsetDateTime.class).toInstant());
    }

    private static List<Long> longs(String json) {
        var inner = json.substring(1, json.length() - 1);
        return inner.isEmpty() ? List.of() : Arrays.stream(inner.split(",")).map(String::strip).map(Long::valueOf).toList();
    }

    private static PreparedStatement prepare(Connection connection, String sql, Object... values) throws SQLException {
        var statement = connection.prepareStatement(sql);
        for (int i = 0; i < values.length; i++) {
            statement.setObject(i + 1, values[i]);
        }
        return statement;
    }

    static int update(Connection connection, String sql, Object... values) throws SQLException {
        try (var statement = prepare(connection, sql, values)) {
            return statement.executeUpdate();
        }
    }

    /// Work on a connection of its own; what it left uncommitted is rolled back when it throws.
    interface Work {
        void on(Connection connection) throws SQLException;
    }

    private interface Question<T> {
        T ask(Connection connection) throws SQLException;
    }

    void run(String what, Work work) {
        call(what, connection -> {
            work.on(connection);
            return what;
        });
    }

    private <T> T call(String what, Question<T> question) {
        try (var connection = database.connect()) {
            return question.ask(connection);
        } catch (SQLException e) {
            throw unavailable(what, e);
        }
    }

    static ServiceException unavailable(String what, SQLException cause) {
        return new ServiceException(ErrorCode.UNAVAILABLE, what + ": the database says " + cause.getMessage(), cause);
    }
}
