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
final class Database implements AutoCloseable {
    private static final Duration CONNECT_TIMEOUT = Duration.ofSeconds(10);
    private static final int CONNECTIONS_MAX = 4;

    /// Commits reach the file before they return. The process's own shutdown closes it, not H2's hook, which would run
    /// before the last snapshots are taken. The page cache stays small: blobs are read once. The space of removed
    /// snapshots is used again after 10 seconds; by default H2 keeps removed blobs for minutes, and the file grows by
    /// all that is written meanwhile.
    private static final String H2_OPTIONS = ";WRITE_DELAY=0;DB_CLOSE_ON_EXIT=FALSE;CACHE_SIZE=8192"
            + ";LOB_TIMEOUT=10000;RETENTION_TIME=10000";

    private final HikariDataSource pool;

    private Database(HikariDataSource pool) {
        this.pool = pool;
    }

    /// Opens or creates the H2 database in a folder.
    static Database h2(Path folder) {
        var config = new HikariConfig();
        config.setPoolName("stepd-store");
        config.setJdbcUrl("jdbc:h2:file:" + folder.toAbsolutePath().resolve("stepd") + H2_OPTIONS);
        config.setUsername("stepd");
        config.setPassword("");
        config.setMaximumPoolSize(CONNECTIONS_MAX);
        config.setMinimumIdle(1);
        config.setMaxLifetime(0); // the file closes with its last connection
        config.setConnectionTimeout(CONNECT_TIMEOUT.toMillis());
        var pool = new HikariDataSource(config);
        try {
            Flyway.configure()
                    .dataSource(pool)
                    .locations("classpath:db/migration")
                    .placeholders(Map.of("bytes", "BLOB"))
                    .load()
                    .migrate();
            return new Database(pool);
        } catch (RuntimeException e) {
            pool.close();
            throw e;
        }
    }

    Connection connect() throws SQLException {
        return pool.getConnection();
    }

    /// Brings what is committed from the operating system's cache to the disk.
    void sync(Connection connection) throws SQLException {
        try (var statement = connection.createStatement()) {
            statement.execute("CHECKPOINT SYNC");
        }
    }

    @Override
    public void close() {
        pool.close();
    }
}
