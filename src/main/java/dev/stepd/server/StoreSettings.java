package dev.stepd.server;

import io.micronaut.context.annotation.ConfigurationProperties;
import io.micronaut.core.bind.annotation.Bindable;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/// Where sessions are kept when not in the folder of `stepd.data`.
///
/// @param db the JDBC address of a PostgreSQL database, `jdbc:postgresql://host/name`; without a password, for addresses are
///     logged and shown
/// @param dbUser who may write there
/// @param dbPassword never shown
/// @param dbLease how long this server may be silent before another one on the same database takes its sessions
@ConfigurationProperties("stepd")
record StoreSettings(
        @Nullable String db,
        @Nullable String dbUser,
        @Nullable String dbPassword,
        @Bindable(defaultValue = "30s") Duration dbLease) {
    private static final Duration LEASE_MIN = Duration.ofSeconds(2);

    /// Whether there is such a database.
    ///
    /// @throws UsageException when the settings do not go together
    boolean isShared() {
        if (db == null || db.isBlank()) {
            if (dbUser != null || dbPassword != null) {
                throw new UsageException("stepd." + (dbUser != null ? "db-user" : "db-password")
                        + " is set and stepd.db is not: name the database, such as jdbc:postgresql://localhost/stepd");
            }
            return false;
        }
        if (dbLease.compareTo(LEASE_MIN) < 0) {
            throw new UsageException("stepd.db-lease is " + dbLease.toMillis() + "ms, expected at least " + LEASE_MIN.toSeconds() + "s");
        }
        return true;
    }

    /// All but the password.
    @Override
    public String toString() {
        return "StoreSettings[db=" + db + ", dbUser=" + dbUser + ", dbLease=" + dbLease + "]";
    }
}
