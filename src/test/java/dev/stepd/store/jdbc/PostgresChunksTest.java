package dev.stepd.store.jdbc;

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;

class PostgresChunksTest extends ChunksConformance {
    private final String url = Postgres.newDatabase();

    @Override
    JdbcSnapshotStore open() {
        return JdbcSnapshotStore.postgresql(url, Postgres.USER, Postgres.PASSWORD, JdbcSnapshotStore.LEASE);
    }

    @Override
    Connection connect() throws SQLException {
        return DriverManager.getConnection(url, Postgres.USER, Postgres.PASSWORD);
    }
}
