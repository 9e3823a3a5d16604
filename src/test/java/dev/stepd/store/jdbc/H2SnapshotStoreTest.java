package dev.stepd.store.jdbc;

import dev.stepd.store.SnapshotStore;
import dev.stepd.store.SnapshotStoreConformance;
import java.nio.file.Path;

class H2SnapshotStoreTest extends SnapshotStoreConformance {
    @Override
    protected SnapshotStore open(Path folder) {
        return JdbcSnapshotStore.h2(folder);
    }
}
