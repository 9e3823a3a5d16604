package dev.stepd.store.jdbc;

import dev.stepd.store.SnapshotStore;
import dev.stepd.store.SnapshotStoreConformance;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

class PostgresSnapshotStoreTest extends SnapshotStoreConformance {
    private final Map<Path, String> databases = new ConcurrentHashMap<>();

    @Override
    protected SnapshotStore open(Path folder) {
        var url = databases.computeIfAbsent(folder, _ -> Postgres.newDatabase());
        return JdbcSnapshotStore.postgresql(url, Postgres.USER, Postgres.PASSWORD, JdbcSnapshotStore.LEASE);
    }
}
