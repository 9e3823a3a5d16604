package dev.stepd.store.jdbc;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.store.Census;
import dev.stepd.store.SnapshotStore;
import dev.stepd.store.StoredSession;
import dev.stepd.store.StoredSnapshot;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// Sessions and snapshots in a relational database: H2 in a folder, or a PostgreSQL that servers share.
///
/// A snapshot is written in many small transactions, so that none grows with the model, and becomes visible with the
/// last one. Each transaction that writes begins with a look whether the session is still ours ([Ownership#fence]).
public final class JdbcSnapshotStore implements SnapshotStore {
    /// How long a server may be silent before others take its sessions.
    public static final Duration LEASE = Duration.ofSeconds(30);

    private static final String SESSION_COLUMNS = "id, name, description, program_hash, created";
    private static final String SNAPSHOT_COLUMNS =
            "id, session_id, step, tensor_steps, program_hash, manifest, origin, pinned, parent, parent_step, byte_count, stored_count,"
                    + " digest, created";
    private static final int ATTEMPTS = 5;

    private static final Logger LOG = LoggerFactory.getLogger(JdbcSnapshotStore.class);

    private final Database database;
    private final Ownership ownership;
    private final Claims claims;
    private final Chunks chunks = new Chunks(this);
    private final Optional<Heartbeat> heartbeat;

    private JdbcSnapshotStore(Database database, Duration lease) {
        this.database = database;
        ownership = new Ownership(lease, database.isExclusive());
        claims = new Claims(this, ownership, lease);
        try {
            claims.enter(database.isExclusive());
        } catch (RuntimeException e) {
            database.close();
            throw e;
        }
        heartbeat = database.isExclusive() ? Optional.empty() : Optional.of(new Heartbeat(claims, lease));
    }

    /// Opens the H2 database in `folder`, creating it when absent, and removes what an earlier process left half
    /// written. One process at a time: the file is locked until [#close] or the end of the process, however it ends.
    public static JdbcSnapshotStore h2(Path folder) {
        return new JdbcSnapshotStore(Database.h2(folder), LEASE);
    }

    /// Opens a PostgreSQL database, which other servers may have open too.
    ///
    /// @param url `jdbc:postgresql://host/name`
    /// @param lease how long this server may be silent before others take its sessions
    public static JdbcSnapshotStore postgresql(String url, String user, String password, Duration lease) {
        return new JdbcSnapshotStore(Database.postgresql(new Database.Address(url, user, password)), lease);
    }

    @Override
    public String owner() {
        return ownership.owner();
    }

    @Override
    public Census census() {
        return claims.census();
    }

    @Override
    public Optional<Duration> censusEvery() {
        return heartbeat.map(Heartbeat::every);
    }

    @Override
    public void letGo(String id) {
        ownership.letGo(id);
    }

    @Override
    public void requireOwned(String id) {
        ownership.require(id);
    }

    @Override
    public void put(StoredSession session) {
        if (ownership.holds(session.id())) {
            settle("storing session " + session.id(), connection -> replace(connection, session));
        } else {
            ownership.adding(session.id(), () -> settle("adding session " + session.id(), connection -> add(connection, session)));
        }
    }

    @Override
    public List<StoredSession> sessions() {
        return call("listing sessions", connection ->
                selectSessions(connection, "SELECT " + SESSION_COLUMNS + " FROM sessions ORDER BY id"));
    }

    @Override
    public Optional<StoredSession> session(String id) {
        return call("finding session " + id, connection -> selectSessions(
                connection, "SELECT " + SESSION_COLUMNS + " FROM sessions WHERE id = ?", id)).stream().findFirst();
    }

    @Override
    public void deleteSession(String id) {
        var unused = new ArrayList<String>();
        ownership.deleting(id, epoch -> settle("deleting session " + id, connection -> {
            database.allowLong(connection);
            if (exists(connection, id)) {
                ownership.fence(connection, id, epoch);
            }
            unused.addAll(Chunks.usedBy(connection, "session_id = ?", id));
            update(connection, "DELETE FROM sessions WHERE id = ?", id);
        }));
        chunks.sweep(unused);
    }

    @Override
    public Writing write(StoredSession session, StoredSnapshot snapshot) {
        var unused = new ArrayList<String>();
        if (ownership.holds(session.id())) {
            transactLong("beginning snapshot " + snapshot.id(), connection -> {
                ownership.fence(connection, session.id());
                // left by a writing that could not even be given up, because the database was gone
                unused.addAll(delete(connection, "session_id = ? AND state <> 'complete'", session.id()));
                begin(connection, snapshot);
            });
        } else {
            ownership.adding(session.id(), () -> transact("beginning snapshot " + snapshot.id(), connection -> {
                add(connection, session);
                begin(connection, snapshot);
            }));
        }
        chunks.sweep(unused);
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
    public void read(StoredSnapshot snapshot, Consumer<MemorySegment> sink) {
        var what = "reading snapshot " + snapshot.id();
        try (var connection = database.connectForBytes()) {
            ChunkedReading.read(connection, snapshot, sink);
        } catch (SQLException e) {
            throw unavailable(what, e);
        }
    }

    @Override
    public void pin(String sessionId, String snapshotId, boolean pinned) {
        settle("pinning snapshot " + snapshotId, connection -> {
            fenceIfThere(connection, sessionId);
            update(connection, "UPDATE snapshots SET pinned = ? WHERE session_id = ? AND id = ?", pinned, sessionId, snapshotId);
        });
    }

    @Override
    public void deleteSnapshot(String sessionId, String snapshotId) {
        var unused = new ArrayList<String>();
        transactLong("deleting snapshot " + snapshotId, connection -> {
            fenceIfThere(connection, sessionId);
            unused.addAll(delete(connection, "session_id = ? AND id = ?", sessionId, snapshotId));
        });
        chunks.sweep(unused);
    }

    /// Deletes the snapshots of a condition.
    ///
    /// @return the chunks they used, to be swept when that is committed
    static List<String> delete(Connection connection, String condition, Object... values) throws SQLException {
        var unused = Chunks.usedBy(connection, condition, values);
        update(connection, "DELETE FROM snapshots WHERE " + condition, values);
        return unused;
    }

    /// Removes the chunks that nobody uses, whoever left them.
    void sweepAll() {
        chunks.sweepAll();
    }

    @Override
    public void close() {
        heartbeat.ifPresent(Heartbeat::close);
        try {
            claims.leave();
        } catch (ServiceException e) {
            LOG.warn("others take over the sessions of {} when its lease ends: {}", owner(), e.getMessage());
        } finally {
            database.close();
        }
    }

    /// The next chunk of a snapshot; again where another transaction was in the way.
    ///
    /// @return what `insert` does
    <T> T append(StoredSnapshot snapshot, Question<T> insert) {
        for (int attempt = 1; ; attempt++) {
            try (var connection = database.connectForBytes()) {
                connection.setAutoCommit(false);
                ownership.fence(connection, snapshot.sessionId());
                var answer = insert.ask(connection);
                connection.commit();
                return answer;
            } catch (SQLException e) {
                if (attempt == ATTEMPTS || !isContention(e)) {
                    throw unavailable("writing snapshot " + snapshot.id(), e);
                }
            }
        }
    }

    /// Whether a key came or went meanwhile, or two transactions waited for each other.
    private static boolean isContention(SQLException e) {
        var state = String.valueOf(e.getSQLState());
        return state.startsWith("23") || state.startsWith("40");
    }

    /// Like [#transact] on a connection for bytes.
    void transactBytes(String what, Work work) {
        try (var connection = database.connectForBytes()) {
            transact(connection, work);
        } catch (SQLException e) {
            throw unavailable(what, e);
        }
    }

    /// The last transaction of a snapshot.
    void complete(StoredSession session, StoredSnapshot snapshot) {
        settle("completing snapshot " + snapshot.id(), connection -> {
            replace(connection, session);
            if (update(connection, "UPDATE snapshots SET state = 'complete', digest = ?, stored_count = ? WHERE id = ?",
                    snapshot.digest(), snapshot.storedBytes(), snapshot.id()) == 0) {
                throw new ServiceException(ErrorCode.CONFLICT, "snapshot " + snapshot.id() + " was deleted while it was written");
            }
        });
    }

    private static void begin(Connection connection, StoredSnapshot snapshot) throws SQLException {
        update(connection, "INSERT INTO snapshots (" + SNAPSHOT_COLUMNS + ", state)"
                        + " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'writing')",
                snapshot.id(), snapshot.sessionId(), snapshot.step(), snapshot.tensorSteps().toString(),
                snapshot.programHash(), snapshot.manifest(), snapshot.origin().name().toLowerCase(Locale.ROOT), snapshot.pinned(),
                snapshot.parent().id(), snapshot.parent().step(), snapshot.bytes(), 0, "", snapshot.created().atOffset(ZoneOffset.UTC));
    }

    /// Adds a session as ours. It may be there already, from a transaction that ended well without our hearing of it.
    private void add(Connection connection, StoredSession session) throws SQLException {
        var holder = Ownership.Holder.locked(connection, session.id());
        if (holder.equals(new Ownership.Holder(owner(), 1))) {
            write(connection, session);
        } else if (holder.owner().isEmpty()) {
            update(connection, "INSERT INTO sessions (" + SESSION_COLUMNS + ", owner, epoch) VALUES (?, ?, ?, ?, ?, ?, 1)",
                    session.id(), session.name(), session.description(), session.programHash(),
                    session.created().atOffset(ZoneOffset.UTC), owner());
        } else {
            throw Ownership.notOwner(session.id(), holder.owner());
        }
    }

    private void replace(Connection connection, StoredSession session) throws SQLException {
        ownership.fence(connection, session.id());
        write(connection, session);
    }

    private static void write(Connection connection, StoredSession session) throws SQLException {
        update(connection, "UPDATE sessions SET name = ?, description = ?, program_hash = ? WHERE id = ?",
                session.name(), session.description(), session.programHash(), session.id());
    }

    /// A session that is there must be ours.
    private void fenceIfThere(Connection connection, String sessionId) throws SQLException {
        if (ownership.holds(sessionId) || exists(connection, sessionId)) {
            ownership.fence(connection, sessionId);
        }
    }

    private static boolean exists(Connection connection, String sessionId) throws SQLException {
        try (var query = prepare(connection, "SELECT 1 FROM sessions WHERE id = ?", sessionId);
                var rows = query.executeQuery()) {
            return rows.next();
        }
    }

    private static List<StoredSession> selectSessions(Connection connection, String sql, Object... values) throws SQLException {
        var sessions = new ArrayList<StoredSession>();
        try (var query = prepare(connection, sql, values);
                var rows = query.executeQuery()) {
            while (rows.next()) {
                sessions.add(new StoredSession(rows.getString(1), rows.getString(2), rows.getString(3),
                        rows.getString(4), rows.getObject(5, OffsetDateTime.class).toInstant()));
            }
        }
        return sessions;
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
                StoredSnapshot.Origin.valueOf(row.getString(7).toUpperCase(Locale.ROOT)), row.getBoolean(8),
                new StoredSnapshot.Parent(row.getString(9), row.getLong(10)), row.getLong(11), row.getLong(12),
                row.getString(13), row.getObject(14, OffsetDateTime.class).toInstant());
    }

    private static List<Long> longs(String json) {
        var inner = json.substring(1, json.length() - 1);
        return inner.isEmpty() ? List.of() : Arrays.stream(inner.split(",")).map(String::strip).map(Long::valueOf).toList();
    }

    static PreparedStatement prepare(Connection connection, String sql, Object... values) throws SQLException {
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

    /// Work on a connection; what it left uncommitted is rolled back when it throws.
    interface Work {
        void on(Connection connection) throws SQLException;
    }

    interface Question<T> {
        T ask(Connection connection) throws SQLException;
    }

    /// Does something whole or not at all; when this returns, it survives the end of the process.
    void transact(String what, Work work) {
        call(what, connection -> {
            transact(connection, work);
            return what;
        });
    }

    /// Like [#transact] for what removes snapshots, however large.
    void transactLong(String what, Work work) {
        transact(what, connection -> {
            database.allowLong(connection);
            work.on(connection);
        });
    }

    /// Like [#transact], and survives the end of the machine.
    private void settle(String what, Work work) {
        call(what, connection -> {
            transact(connection, work);
            database.sync(connection);
            return what;
        });
    }

    private static void transact(Connection connection, Work work) throws SQLException {
        connection.setAutoCommit(false);
        work.on(connection);
        connection.commit();
    }

    <T> T call(String what, Question<T> question) {
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
