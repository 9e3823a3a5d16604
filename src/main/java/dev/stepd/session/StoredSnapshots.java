package dev.stepd.session;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.session.Session.Download;
import dev.stepd.session.Session.SnapshotInfo;
import dev.stepd.store.StoredSnapshot;
import dev.stepd.tensor.SafetensorsMessage;
import java.util.List;

/// The snapshots of one session in the store, whether or not the session itself is alive. Every call blocks.
record StoredSnapshots(Resources resources, String sessionId) {
    List<SnapshotInfo> list() {
        return resources.store().snapshots(sessionId).stream().map(StoredSnapshots::info).toList();
    }

    /// @throws ServiceException `NOT_FOUND`
    StoredSnapshot find(String snapshotId) {
        return resources.store().snapshot(sessionId, snapshotId).orElseThrow(() -> new ServiceException(
                ErrorCode.NOT_FOUND, "session " + sessionId + " has no snapshot " + snapshotId));
    }

    /// The step a restart continues at: that of the newest snapshot.
    long durableStep() {
        var all = resources.store().snapshots(sessionId);
        return all.isEmpty() ? 0 : all.getLast().step();
    }

    boolean isNewest(String snapshotId) {
        var all = resources.store().snapshots(sessionId);
        return !all.isEmpty() && all.getLast().id().equals(snapshotId);
    }

    void pin(String snapshotId, boolean pinned) {
        find(snapshotId);
        resources.store().pin(sessionId, snapshotId, pinned);
    }

    void delete(String snapshotId) {
        find(snapshotId);
        resources.store().deleteSnapshot(sessionId, snapshotId);
    }

    /// The snapshot as a safetensors body, proved.
    Download data(String snapshotId) {
        var loaded = LoadedSnapshot.load(resources, find(snapshotId));
        var memory = loaded.image().memory();
        return new Download(loaded.stored().step(), new SafetensorsMessage(loaded.manifest().framed(), List.of(memory.memory())),
                memory.releaseOnce());
    }

    static SnapshotInfo info(StoredSnapshot stored) {
        return new SnapshotInfo(stored.id(), stored.step(), stored.bytes(), stored.storedBytes(), stored.digest(), stored.pinned(),
                stored.parent().id(), stored.created());
    }
}
