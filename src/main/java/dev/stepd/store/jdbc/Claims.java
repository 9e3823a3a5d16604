package dev.stepd.store.jdbc;

import dev.stepd.store.Census;
import dev.stepd.store.jdbc.Ownership.Holder;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// Keeps the lease of this process and claims the sessions of those that let theirs pass. All times are the database's.
final class Claims {
    private static final Logger LOG = LoggerFactory.getLogger(Claims.class);
    private static final String LEASE = "CURRENT_TIMESTAMP + CAST(? AS BIGINT) * INTERVAL '0.001' SECOND";

    private final JdbcSnapshotStore store;
    private final Ownership ownership;
    private final Duration lease;
    private final Set<String> claimed = new HashSet<>();
    private long steadyFromNanos = System.nanoTime();

    Claims(JdbcSnapshotStore store, Ownership ownership, Duration lease) {
        this.store = store;
        this.ownership = ownership;
        this.lease = lease;
    }

    /// Enters this process, first of all; `alone` when no other can be there.
    void enter(boolean alone) {
        store.transact("entering as " + ownership.owner(), connection -> {
            if (alone) {
                JdbcSnapshotStore.update(connection, "DELETE FROM owners");
            }
            renew(connection);
        });
        claim();
        store.sweepAll();
    }

    /// Leaves what is ours to whoever comes.
    void leave() {
        store.transact("leaving as " + ownership.owner(), connection ->
                JdbcSnapshotStore.update(connection, "DELETE FROM owners WHERE id = ?", ownership.owner()));
    }

    /// Renews the lease and finds out what was lost while it was not.
    ///
    /// @return whose the sessions are that are ours or were
    Map<String, Holder> renew() {
        long asked = System.nanoTime();
        var before = ownership.epochs();
        var found = new HashMap<String, Holder>();
        store.transact("renewing the lease of " + ownership.owner(), connection -> {
            found.clear();
            renew(connection);
            find(connection, before, found);
        });
        ownership.compare(before, found);
        if (ownership.hasLapsed()) { // as others' may have, for the same reason: they get the time to renew theirs
            synchronized (this) {
                steadyFromNanos = System.nanoTime() + lease.toNanos();
            }
        }
        ownership.renewed(asked);
        return found;
    }

    private void renew(Connection connection) throws SQLException {
        // waits for a server that claims what is ours right now, and sees below that it did
        int renewed = JdbcSnapshotStore.update(connection,
                "UPDATE owners SET lease_until = " + LEASE + " WHERE id = ?", lease.toMillis(), ownership.owner());
        if (renewed == 0) {
            JdbcSnapshotStore.update(connection,
                    "INSERT INTO owners (id, started, lease_until) VALUES (?, CURRENT_TIMESTAMP, " + LEASE + ")",
                    ownership.owner(), lease.toMillis());
        }
    }

    /// Who has the sessions that were ours: a query for all that still are, one for each of the few others.
    private void find(Connection connection, Map<String, Long> before, Map<String, Holder> found) throws SQLException {
        try (var query = JdbcSnapshotStore.prepare(connection, "SELECT id, epoch FROM sessions WHERE owner = ?", ownership.owner());
                var rows = query.executeQuery()) {
            while (rows.next()) {
                found.put(rows.getString(1), new Holder(ownership.owner(), rows.getLong(2)));
            }
        }
        for (var session : before.keySet()) {
            if (!found.containsKey(session)) {
                found.put(session, Holder.find(connection, session));
            }
        }
    }

    /// Claims what has no living owner and tells what changed since the last time.
    synchronized Census census() {
        renew().forEach((session, holder) -> {
            if (holder.owner().equals(ownership.owner()) && ownership.isForgotten(session)) {
                adopt(session);
            }
        });
        int known = claimed.size();
        var elsewhere = claim();
        if (claimed.size() > known) {
            store.sweepAll(); // what their owners did not come to
        }
        var news = Set.copyOf(claimed);
        claimed.clear();
        return new Census(news, ownership.lost(), elsewhere);
    }

    /// Takes what a claim or an addition of ours got whose end we never heard of.
    private void adopt(String session) {
        var holder = store.call("looking for session " + session, connection -> Holder.find(connection, session));
        if (holder.owner().equals(ownership.owner())) {
            ownership.gained(session, holder.epoch());
            claimed.add(session);
        }
    }

    /// @return what others have
    private synchronized Map<String, String> claim() {
        var elsewhere = new HashMap<String, String>();
        var byOwner = store.call("looking for sessions", this::others);
        boolean steady = System.nanoTime() - steadyFromNanos >= 0;
        byOwner.forEach((owner, sessions) -> {
            if (!steady || sessions.stream().anyMatch(ownership::holds) || !claim(owner)) {
                sessions.forEach(session -> elsewhere.put(session, owner));
            }
        });
        elsewhere.keySet().removeAll(claimed);
        return elsewhere;
    }

    /// The sessions of others, by owner; in that order owners are locked, so that two who claim never wait for each other.
    private TreeMap<String, List<String>> others(Connection connection) throws SQLException {
        var others = new TreeMap<String, List<String>>();
        try (var query = JdbcSnapshotStore.prepare(connection, "SELECT owner, id FROM sessions WHERE owner <> ?", ownership.owner());
                var rows = query.executeQuery()) {
            while (rows.next()) {
                others.computeIfAbsent(rows.getString(1), _ -> new ArrayList<>()).add(rows.getString(2));
            }
        }
        return others;
    }

    /// Takes over all that an owner has, if it is gone. What it was writing goes.
    private boolean claim(String owner) {
        var taken = new HashMap<String, Long>();
        store.transactLong("claiming the sessions of " + owner, connection -> {
            taken.clear();
            if (!isGone(connection, owner)) {
                return;
            }
            JdbcSnapshotStore.update(connection, "DELETE FROM snapshots WHERE state <> 'complete'"
                    + " AND session_id IN (SELECT id FROM sessions WHERE owner = ?)", owner);
            try (var query = JdbcSnapshotStore.prepare(connection,
                            "SELECT id, epoch FROM sessions WHERE owner = ? ORDER BY id FOR UPDATE", owner);
                    var rows = query.executeQuery()) {
                while (rows.next()) {
                    taken.put(rows.getString(1), rows.getLong(2) + 1);
                }
            }
            take(connection, taken.keySet());
        });
        taken.forEach(ownership::gained);
        claimed.addAll(taken.keySet());
        if (!taken.isEmpty() && !owner.isEmpty()) {
            LOG.info("{} sessions of server {}, which is gone, are now of {}", taken.size(), owner, ownership.owner());
        }
        return !taken.isEmpty();
    }

    /// These and no other: whoever is thought gone may add one meanwhile.
    private void take(Connection connection, Set<String> sessions) throws SQLException {
        try (var update = connection.prepareStatement("UPDATE sessions SET owner = ?, epoch = epoch + 1 WHERE id = ?")) {
            for (var session : sessions) {
                update.setString(1, ownership.owner());
                update.setString(2, session);
                update.addBatch();
            }
            update.executeBatch();
        }
    }

    /// Whether an owner has left or let its lease pass; it cannot renew that until this transaction ends.
    private static boolean isGone(Connection connection, String owner) throws SQLException {
        try (var query = JdbcSnapshotStore.prepare(connection, "SELECT 1 FROM owners WHERE id = ?", owner);
                var rows = query.executeQuery()) {
            if (!rows.next()) {
                return true;
            }
        }
        try (var query = JdbcSnapshotStore.prepare(connection,
                        "SELECT 1 FROM owners WHERE id = ? AND lease_until < CURRENT_TIMESTAMP FOR UPDATE", owner);
                var rows = query.executeQuery()) {
            return rows.next();
        }
    }
}
