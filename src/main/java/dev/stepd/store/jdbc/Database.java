package dev.stepd.store.jdbc;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Map;
import org.flywaydb.core.Flyway;

/// A migrated database and where it differs from others.
///
/// The bytes of snapshots go through connections of their own, so that however many are written, rows and leases do not
/// wait for them. Every wait has an end: for a connection, a lock, an answer.
final class Database implements AutoCloseable {
    /// Where a database is and who may use it.
    ///
    /// @param url of JDBC, `jdbc:postgresql://host/name`, without a password
    record Address(String url, String user, String password) {
        /// Without the password.
        @Override
        public String toString() {
            return url;
        }
    }

    private enum Kind {
        H2("BLOB", "", "classpath:db/migration"),
        /// A server that stops in the middle of a transaction loses it, and with it the locks that would keep others from its
        /// sessions.
        POSTGRESQL("BYTEA", "SET lock_timeout = '8s'; SET statement_timeout = '60s';"
                + " SET idle_in_transaction_session_timeout = '8s'", "classpath:db/migration", "classpath:db/vendor/postgresql");

        private final String bytes;
        private final String greeting;
        private final String[] migrations;

        Kind(String bytes, String greeting, String... migrations) {
            this.bytes = bytes;
            this.greeting = greeting;
            this.migrations = migrations;
        }
    }

    private static final Duration CONNECT_TIMEOUT = Duration.ofSeconds(5);
    private static final int CONNECT_SECONDS = 4;
    private static final int ANSWER_SECONDS = 70;
    private static final Duration LONG = Duration.ofMinutes(10);
    private static final int ROW_CONNECTIONS_MAX = 4;
    private static final int BYTE_CONNECTIONS_MAX = 6;

    /// Commits reach the file before they return. The process's own shutdown closes it, not H2's hook, which would run
    /// before the last snapshots are taken. The page cache stays small: blobs are read once. The space of removed
    /// snapshots is used again after 10 seconds; by default H2 keeps removed blobs for minutes, and the file grows by
    /// all that is written meanwhile.
    private static final String H2_OPTIONS = ";WRITE_DELAY=0;DB_CLOSE_ON_EXIT=FALSE;CACHE_SIZE=8192"
            + ";LOB_TIMEOUT=10000;RETENTION_TIME=10000;LOCK_TIMEOUT=8000";

    private final Kind kind;
    private final HikariDataSource rows;
    private final HikariDataSource bytes;

    private Database(Kind kind, HikariDataSource rows, HikariDataSource bytes) {
        this.kind = kind;
        this.rows = rows;
        this.bytes = bytes;
    }

    /// Opens or creates the H2 database in a folder, for this process alone.
    static Database h2(Path folder) {
        return open(Kind.H2, new Address(
                "jdbc:h2:file:" + folder.toAbsolutePath().resolve("stepd") + H2_OPTIONS, "stepd", ""));
    }

    static Database postgresql(Address address) {
        return open(Kind.POSTGRESQL, address);
    }

    private static Database open(Kind kind, Address address) {
        var rows = new HikariDataSource(config(kind, address, "stepd-rows", ROW_CONNECTIONS_MAX));
        try {
            Flyway.configure()
                    .dataSource(rows)
                    .locations(kind.migrations)
                    .placeholders(Map.of("bytes", kind.bytes))
                    .load()
                    .migrate();
            return new Database(kind, rows, new HikariDataSource(config(kind, address, "stepd-bytes", BYTE_CONNECTIONS_MAX)));
        } catch (RuntimeException e) {
            rows.close();
            throw e;
        }
    }

    private static HikariConfig config(Kind kind, Address address, String name, int connections) {
        var config = new HikariConfig();
        config.setPoolName(name);
        config.setJdbcUrl(address.url());
        config.setUsername(address.user());
        config.setPassword(address.password());
        config.setMaximumPoolSize(connections);
        config.setMinimumIdle(1);
        config.setConnectionTimeout(CONNECT_TIMEOUT.toMillis());
        config.setValidationTimeout(CONNECT_TIMEOUT.toMillis() / 2);
        switch (kind) {
            case H2 -> config.setMaxLifetime(0); // the file closes with its last connection
            case POSTGRESQL -> {
                config.setConnectionInitSql(kind.greeting);
                config.addDataSourceProperty("ApplicationName", "stepd");
                config.addDataSourceProperty("connectTimeout", Integer.toString(CONNECT_SECONDS));
                config.addDataSourceProperty("socketTimeout", Integer.toString(ANSWER_SECONDS));
                config.addDataSourceProperty("tcpKeepAlive", "true");
            }
        }
        return config;
    }

    /// Whether this process has the database to itself.
    boolean isExclusive() {
        return kind == Kind.H2;
    }

    Connection connect() throws SQLException {
        return rows.getConnection();
    }

    Connection connectForBytes() throws SQLException {
        return bytes.getConnection();
    }

    /// Brings what is committed from the operating system's cache to the disk, where commits do not.
    void sync(Connection connection) throws SQLException {
        if (kind == Kind.H2) {
            try (var statement = connection.createStatement()) {
                statement.execute("CHECKPOINT SYNC");
            }
        }
    }

    /// Lets a transaction that removes what may be large take longer than others.
    void allowLong(Connection connection) throws SQLException {
        if (kind == Kind.POSTGRESQL) {
            connection.setNetworkTimeout(Runnable::run, (int) LONG.plusSeconds(ANSWER_SECONDS).toMillis());
            try (var statement = connection.createStatement()) {
                statement.execute("SET LOCAL statement_timeout = " + LONG.toMillis());
            }
        }
    }

    @Override
    public void close() {
        bytes.close();
        rows.close();
    }
}
