package dev.stepd.store.jdbc;

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;

class H2ChunksTest extends ChunksConformance {
    @Override
    JdbcSnapshotStore open() {
        return JdbcSnapshotStore.h2(folder);
    }

    @Override
    Connection connect() throws SQLException {
        return DriverManager.getConnection("jdbc:h2:file:" + folder.resolve("stepd"), "stepd", "");
    }
}
