package dev.stepd.store.jdbc;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.store.SnapshotStoreConformance;
import dev.stepd.store.StoredSession;
import dev.stepd.store.StoredSnapshot;
import java.lang.foreign.Arena;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// Two stores on one PostgreSQL, as two servers have them: whose a session is, and that only its owner writes.
class SharedDatabaseTest {
    private static final StoredSession SESSION = SnapshotStoreConformance.session("s");

    private final String url = Postgres.newDatabase();
    private JdbcSnapshotStore first;
    private JdbcSnapshotStore second;

    @BeforeEach
    void openBoth() {
        first = open();
        first.put(SESSION);
        second = open();
    }

    @AfterEach
    void closeBoth() {
        first.close();
        second.close();
    }

    private JdbcSnapshotStore open() {
        return JdbcSnapshotStore.postgresql(url, Postgres.USER, Postgres.PASSWORD, Duration.ofMinutes(10));
    }

    @Test
    void aLivingOwnersSessionsStayWithIt() {
        var census = second.census();
        assertThat(census.claimed()).isEmpty();
        assertThat(census.elsewhere()).isEqualTo(Map.of("s", first.owner()));
        assertThat(second.sessions()).containsExactly(SESSION);
        assertRefused(() -> second.put(SESSION), first.owner());
        assertRefused(() -> second.write(SESSION, snapshot("one")), first.owner());
        assertRefused(() -> second.deleteSession("s"), first.owner());
        assertRefused(() -> second.deleteSnapshot("s", "one"), first.owner());
        assertRefused(() -> second.pin("s", "one", true), first.owner());
        first.requireOwned("s");
        first.put(SESSION);
    }

    @Test
    void whoLeavesLeavesItsSessions() {
        first.close();
        assertThat(second.census().claimed()).containsExactly("s");
        second.put(SESSION);
        first = open();
        assertThat(first.census().elsewhere()).isEqualTo(Map.of("s", second.owner()));
    }

    @Test
    void whoIsSilentPastItsLeaseWritesNoMore() throws Exception {
        try (var arena = Arena.ofConfined()) {
            var whole = first.write(SESSION, snapshot("whole"));
            whole.write(arena.allocate(10));
            whole.complete("sha256:d");
            var half = first.write(SESSION, snapshot("half"));
            half.write(arena.allocate(9));
            letLeasePass();
            assertThat(second.census().claimed()).containsExactly("s");
            assertThat(second.snapshots("s")).extracting(StoredSnapshot::id).containsExactly("whole");

            assertRefused(() -> half.write(arena.allocate(1)), second.owner());
            assertRefused(half::close, second.owner());
            assertRefused(() -> first.put(SESSION), second.owner());
            assertRefused(() -> first.write(SESSION, snapshot("later")), second.owner());
            assertRefused(() -> first.deleteSnapshot("s", "whole"), second.owner());
            assertRefused(() -> first.deleteSession("s"), second.owner());
            assertThat(second.snapshots("s")).extracting(StoredSnapshot::id).containsExactly("whole");
        }
        var census = first.census();
        assertThat(census.lost()).isEqualTo(Map.of("s", second.owner()));
        assertRefused(() -> first.requireOwned("s"), second.owner());
        second.put(SESSION);
    }

    @Test
    void whoClaimsRemovesWhatWasHalfWritten() throws Exception {
        try (var arena = Arena.ofConfined()) {
            var half = first.write(SESSION, SnapshotStoreConformance.snapshot("s", "half", 1, 9 << 20));
            half.write(arena.allocate(8 << 20));
            assertThat(chunks()).isEqualTo(1);
            letLeasePass();
            second.census();
            assertThat(chunks()).isZero();
        }
    }

    private long chunks() throws SQLException {
        try (var connection = DriverManager.getConnection(url, Postgres.USER, Postgres.PASSWORD);
                var rows = connection.createStatement().executeQuery("SELECT COUNT(*) FROM chunks")) {
            rows.next();
            return rows.getLong(1);
        }
    }

    @Test
    void whatWasLostIsClaimedAgainOnlyOnceItWasLetGo() throws Exception {
        letLeasePass();
        second.census();
        second.close();
        assertThat(first.census().claimed()).isEmpty();
        assertThat(first.census().lost()).containsOnlyKeys("s");
        first.letGo("s");
        assertThat(first.census().claimed()).isEqualTo(Set.of("s"));
        first.put(SESSION);
        second = open();
        assertThat(second.census().elsewhere()).containsOnlyKeys("s");
    }

    @Test
    void whatBelongedToAnotherInBetweenIsNotWrittenFromBefore() throws Exception {
        sql("UPDATE sessions SET epoch = epoch + 2 WHERE id = 's'"); // as after a claim of ours whose commit was not heard of
        assertRefused(() -> first.put(SESSION), first.owner());
        assertRefused(() -> first.deleteSession("s"), first.owner());
        assertThat(first.census().lost()).isEqualTo(Map.of("s", first.owner()));
        first.letGo("s");
        assertThat(first.census().claimed()).containsExactly("s");
        first.put(SESSION);
    }

    @Test
    void whatAnotherDeletedIsLostToNobody() throws Exception {
        letLeasePass();
        second.census();
        second.deleteSession("s");
        assertRefused(() -> first.put(SESSION), "");
        assertThat(first.census().lost()).isEqualTo(Map.of("s", ""));
        assertThat(second.sessions()).isEmpty();
    }

    @Test
    void whatIsDeletedHereIsNotLost() {
        first.deleteSession("s");
        var census = first.census();
        assertThat(census.lost()).isEmpty();
        assertThat(census.claimed()).isEmpty();
    }

    @Test
    void aRowWhoseCommitWasNotHeardOfIsOursAfterAll() throws Exception {
        sql("INSERT INTO sessions (id, name, description, program_hash, created, owner, epoch)"
                + " VALUES ('t', 'n', '{}', 'h', CURRENT_TIMESTAMP, '" + first.owner() + "', 1)");
        assertThat(first.census().claimed()).containsExactly("t");
        sql("INSERT INTO sessions (id, name, description, program_hash, created, owner, epoch)"
                + " VALUES ('u', 'n', '{}', 'h', CURRENT_TIMESTAMP, '" + first.owner() + "', 1)");
        first.put(SnapshotStoreConformance.session("u"));
        assertThat(first.census().claimed()).isEmpty();
        assertThat(first.session("u").orElseThrow().name()).isEqualTo(SnapshotStoreConformance.session("u").name());
    }

    @Test
    void aTransactionThatStandsStillLosesItsLocks() throws Exception {
        try (var still = DriverManager.getConnection(url, Postgres.USER, Postgres.PASSWORD);
                var statement = still.createStatement()) {
            statement.execute("SET idle_in_transaction_session_timeout = '100ms'");
            still.setAutoCommit(false);
            statement.execute("SELECT 1 FROM sessions WHERE id = 's' FOR UPDATE");
            first.put(SESSION); // waits for the lock until the database has had enough
        }
        assertThat(first.census().lost()).isEmpty();
    }

    private void letLeasePass() throws SQLException {
        sql("UPDATE owners SET lease_until = CURRENT_TIMESTAMP - INTERVAL '1' SECOND WHERE id = '" + first.owner() + "'");
    }

    private void sql(String text) throws SQLException {
        try (var connection = DriverManager.getConnection(url, Postgres.USER, Postgres.PASSWORD);
                var statement = connection.createStatement()) {
            statement.execute(text);
        }
    }

    private static StoredSnapshot snapshot(String id) {
        return SnapshotStoreConformance.snapshot("s", id, 1, 10);
    }

    private static void assertRefused(ThrowingCallable call, String owner) {
        assertThatThrownBy(call).isInstanceOfSatisfying(ServiceException.class, e -> {
            assertThat(e.code()).isEqualTo(ErrorCode.NOT_OWNER);
            assertThat(e.members()).isEqualTo(Map.of("owner", owner));
        });
    }
}
