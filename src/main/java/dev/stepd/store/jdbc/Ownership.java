package dev.stepd.store.jdbc;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.function.LongConsumer;

/// Which sessions are this process's, by the database and by what it knows of it.
///
/// The truth is a session's `owner` and `epoch`. [#fence] reads them in the transaction of every write and keeps the row
/// locked until it ends, so a write and a claim by another server come one after the other, and the later of the two sees
/// the earlier. The lease only decides when others may claim; that it has passed stops no write by itself.
final class Ownership {
    private final String owner;
    private final boolean exclusive;
    private final long leaseNanos;
    private final ConcurrentMap<String, Long> epochs = new ConcurrentHashMap<>();
    /// Sessions whose rows are being added or deleted.
    private final Set<String> underWay = ConcurrentHashMap.newKeySet();
    private final ConcurrentMap<String, String> lost = new ConcurrentHashMap<>();
    private volatile long renewedNanos = System.nanoTime();

    Ownership(Duration lease, boolean exclusive) {
        this.owner = name();
        this.exclusive = exclusive;
        this.leaseNanos = lease.toNanos();
    }

    /// Such as `node1-4711-9f3b2c1d`: where, which process, which start.
    private static String name() {
        String host;
        try {
            host = InetAddress.getLocalHost().getHostName();
        } catch (UnknownHostException e) {
            host = "unknown";
        }
        return host + "-" + ProcessHandle.current().pid() + "-" + UUID.randomUUID().toString().substring(0, 8);
    }

    String owner() {
        return owner;
    }

    boolean holds(String session) {
        return epochs.containsKey(session);
    }

    /// Our sessions with the epochs in which they are ours.
    Map<String, Long> epochs() {
        return Map.copyOf(epochs);
    }

    /// A session is ours as of a transaction that has ended well.
    void gained(String session, long epoch) {
        epochs.put(session, epoch);
    }

    /// Adds the row of a session, which is ours if that ends well.
    void adding(String session, Runnable work) {
        underWay.add(session);
        try {
            work.run();
            epochs.put(session, 1L);
        } finally {
            underWay.remove(session);
        }
    }

    /// Deletes the row of a session, told the epoch in which it is ours, or 0. Its absence is no loss meanwhile.
    void deleting(String session, LongConsumer work) {
        underWay.add(session);
        var epoch = epochs.remove(session);
        try {
            work.accept(epoch == null ? 0 : epoch);
        } catch (RuntimeException e) {
            if (epoch != null) {
                epochs.put(session, epoch);
            }
            throw e;
        } finally {
            underWay.remove(session);
        }
    }

    /// Whether a row that names us, read before this is asked, is of a session that we do not know to be ours.
    boolean isForgotten(String session) {
        return !underWay.contains(session) && !epochs.containsKey(session);
    }

    void letGo(String session) {
        epochs.remove(session);
        lost.remove(session);
    }

    Map<String, String> lost() {
        return Map.copyOf(lost);
    }

    /// Tells the sessions that are ours no more, by what the database says.
    ///
    /// @param before [#epochs] from before the database was asked
    /// @param found owner and epoch of those sessions as they are there
    void compare(Map<String, Long> before, Map<String, Holder> found) {
        before.forEach((session, epoch) -> {
            var holder = found.getOrDefault(session, new Holder("", 0));
            boolean ours = holder.owner().equals(owner) && holder.epoch() == epoch;
            if (!ours && epoch.equals(epochs.get(session))) { // else it was deleted here meanwhile
                lost.put(session, holder.owner());
            }
        });
    }

    /// The lease was renewed by a question asked at this time, and [#compare] has told what was lost before.
    void renewed(long askedNanos) {
        renewedNanos = askedNanos;
    }

    /// How long ago the lease was last known to be renewed.
    Duration sinceRenewed() {
        return Duration.ofNanos(System.nanoTime() - renewedNanos);
    }

    boolean hasLapsed() {
        return !exclusive && System.nanoTime() - renewedNanos > leaseNanos;
    }

    void require(String session) {
        if (exclusive) {
            return;
        }
        if (!lost.isEmpty() && lost.containsKey(session)) {
            throw notOwner(session, lost.get(session));
        }
        if (hasLapsed()) {
            throw new ServiceException(ErrorCode.UNAVAILABLE, "session " + session + " may have gone to another server: the lease on it"
                    + " was last renewed " + sinceRenewed().toSeconds() + " s ago and is of " + Duration.ofNanos(leaseNanos).toSeconds()
                    + " s; it goes on here once the database confirms it");
        }
    }

    /// Sees that a session is ours and keeps it so until the transaction ends.
    ///
    /// @throws ServiceException `NOT_OWNER`
    void fence(Connection connection, String session) throws SQLException {
        var epoch = epochs.get(session);
        fence(connection, session, epoch == null ? 0 : epoch);
    }

    void fence(Connection connection, String session, long epoch) throws SQLException {
        var holder = Holder.locked(connection, session);
        if (epoch == 0 || !holder.owner().equals(owner) || holder.epoch() != epoch) {
            throw notOwner(session, holder.owner());
        }
    }

    static ServiceException notOwner(String session, String owner) {
        return new ServiceException(ErrorCode.NOT_OWNER,
                owner.isEmpty()
                        ? "session " + session + " was taken over and deleted by another server"
                        : "session " + session + " belongs to server " + owner + " now",
                Map.of("owner", owner));
    }

    /// Whose a session is. An absent one is nobody's.
    record Holder(String owner, long epoch) {
        static Holder find(Connection connection, String session) throws SQLException {
            return ask(connection, "SELECT owner, epoch FROM sessions WHERE id = ?", session);
        }

        /// So that it stays until the transaction ends.
        static Holder locked(Connection connection, String session) throws SQLException {
            return ask(connection, "SELECT owner, epoch FROM sessions WHERE id = ? FOR UPDATE", session);
        }

        private static Holder ask(Connection connection, String sql, String session) throws SQLException {
            try (var query = connection.prepareStatement(sql)) {
                query.setString(1, session);
                try (var rows = query.executeQuery()) {
                    return rows.next() ? new Holder(rows.getString(1), rows.getLong(2)) : new Holder("", 0);
                }
            }
        }
    }
}
