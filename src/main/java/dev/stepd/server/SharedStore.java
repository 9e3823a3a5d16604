package dev.stepd.server;

import dev.stepd.store.SnapshotStore;
import dev.stepd.store.jdbc.JdbcSnapshotStore;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// Opens the database that servers share.
final class SharedStore {
    private static final Logger LOG = LoggerFactory.getLogger(SharedStore.class);

    private SharedStore() {}

    /// @throws UsageException when it cannot be reached or used
    static SnapshotStore open(StoreSettings settings) {
        var user = settings.dbUser() == null ? System.getProperty("user.name") : settings.dbUser();
        var password = settings.dbPassword() == null ? "" : settings.dbPassword();
        try {
            var store = JdbcSnapshotStore.postgresql(settings.db(), user, password, settings.dbLease());
            LOG.info("sessions are kept in {}, ours as of server {}", settings.db(), store.owner());
            return store;
        } catch (RuntimeException e) {
            throw new UsageException("--db " + settings.db() + " cannot be used: " + reason(e));
        }
    }

    /// What the database said, which is behind what pools and migrations make of it.
    private static String reason(Throwable failure) {
        var deepest = failure;
        while (deepest.getCause() != null) {
            deepest = deepest.getCause();
        }
        return deepest == failure ? failure.getMessage() : failure.getMessage().lines().findFirst().orElse("") + " (" + deepest.getMessage() + ")";
    }
}
