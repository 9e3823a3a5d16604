package dev.stepd.session;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.store.StoredSession;
import dev.stepd.store.StoredSnapshot;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// Brings stored sessions back to life; blocks.
final class Recovery {
    private static final Logger LOG = LoggerFactory.getLogger(Recovery.class);

    /// Reading one takes as long as recovering from it.
    private static final int SOUND_TOLD = 3;

    private Recovery() {}

    /// The session at its newest snapshot, or the reason why not. A session that promised no durability and has no
    /// snapshot is gone, and so is its row.
    static Optional<Life> recover(Resources resources, StoredSession row) {
        var store = resources.store();
        Map<String, Object> description = Map.of("name", row.name());
        List<StoredSnapshot> snapshots = List.of();
        long durableStep = 0;
        try {
            description = description(row);
            if (Forks.isUnfinished(description)) {
                store.deleteSession(row.id());
                resources.journals().delete(row.id());
                return Optional.empty();
            }
            snapshots = store.snapshots(row.id());
            var newest = snapshots.isEmpty() ? Optional.<StoredSnapshot>empty() : Optional.of(snapshots.getLast());
            durableStep = newest.map(StoredSnapshot::step).orElse(0L);
            if (newest.isEmpty() && !SessionDescription.parse(description).durability().keeps()) {
                store.deleteSession(row.id());
                return Optional.empty();
            }
            var live = revive(resources, row, newest);
            replay(live, newest);
            live.unused();
            LOG.info("session {} is back at step {}", row.id(), live.step());
            return Optional.of(live);
        } catch (ServiceException e) {
            LOG.error("session {} cannot be brought back: {}", row.id(), e.getMessage());
            return Optional.of(new LostSession(row, description, durableStep, reason(e) + remedy(resources, row, snapshots, e)));
        } catch (RuntimeException e) { // one session does not keep the others from coming back
            LOG.error("session {} cannot be brought back", row.id(), e);
            return Optional.of(new LostSession(row, description, durableStep, String.valueOf(e.getMessage())));
        }
    }

    /// What another server has, as it is stored.
    static Life elsewhere(Resources resources, StoredSession row, String owner) {
        var snapshots = resources.store().snapshots(row.id());
        long durableStep = snapshots.isEmpty() ? 0 : snapshots.getLast().step();
        try {
            return new ElsewhereSession(row, description(row), durableStep, owner);
        } catch (ServiceException e) {
            return new ElsewhereSession(row, Map.of("name", row.name()), durableStep, owner);
        }
    }

    /// The session of a row with the state of a snapshot.
    ///
    /// @throws ServiceException when either is not what it should be
    static LiveSession revive(Resources resources, StoredSession row, Optional<StoredSnapshot> snapshot) {
        var live = LiveSession.create(resources, row.id(), row.created(), SessionDescription.parse(description(row)));
        try {
            snapshot.ifPresent(live.snapshots()::recover);
            live.journal().beginAnew(); // none goes on from here unless it is found
            return live;
        } catch (RuntimeException e) {
            live.discard();
            throw e;
        }
    }

    private static void replay(LiveSession live, Optional<StoredSnapshot> newest) {
        try {
            if (live.journal().isActive()) {
                JournalReplay.of(live, newest);
            }
        } catch (RuntimeException e) {
            live.discard();
            throw e;
        }
    }

    /// The row of the same session on another device.
    static StoredSession onDevice(StoredSession row, String device) {
        var description = new LinkedHashMap<>(description(row));
        description.put("device", device);
        return new StoredSession(row.id(), row.name(), Json.write(description), row.programHash(), row.created());
    }

    /// What keeps a session from coming back, with what helps where that is not said yet.
    private static String reason(ServiceException e) {
        return e.code() == ErrorCode.DEVICE_UNAVAILABLE
                ? e.getMessage() + "; start stepd where the device is, or name another with the restore"
                : e.getMessage();
    }

    /// Which snapshots can be restored where recovery found something damaged; some of them, newest first.
    private static String remedy(Resources resources, StoredSession row, List<StoredSnapshot> snapshots, ServiceException e) {
        if (e.code() != ErrorCode.CONFLICT || snapshots.isEmpty()) {
            return "";
        }
        try {
            var program = resources.engine().programHash(SessionDescription.parse(description(row)).blueprint());
            var sound = snapshots.reversed().stream()
                    .filter(snapshot -> snapshot.programHash().equals(program) && isSound(resources, snapshot))
                    .limit(SOUND_TOLD)
                    .map(snapshot -> snapshot.id() + " of step " + snapshot.step())
                    .toList();
            return sound.isEmpty() ? "; none of its snapshots can be restored" : "; to be restored is snapshot " + String.join(", ", sound);
        } catch (ServiceException unknown) {
            return ""; // the store cannot be asked now
        }
    }

    private static boolean isSound(Resources resources, StoredSnapshot snapshot) {
        try {
            LoadedSnapshot.check(resources, snapshot);
            return true;
        } catch (ServiceException e) {
            if (e.code() != ErrorCode.CONFLICT) {
                throw e;
            }
            return false;
        }
    }

    @SuppressWarnings("unchecked") // JSON objects have string keys
    static Map<String, Object> description(StoredSession row) {
        try {
            if (Json.read(row.description()) instanceof Map<?, ?> description) {
                return (Map<String, Object>) description;
            }
            throw new IOException("no JSON object");
        } catch (IOException e) {
            throw new ServiceException(
                    ErrorCode.CONFLICT, "its stored description cannot be read: " + e.getMessage(), e);
        }
    }
}
