package dev.stepd.session;

import dev.stepd.error.Fields;
import dev.stepd.store.StoredSnapshot;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// Which snapshots that nobody pinned stay: the newest, and of the others the first at or after each multiple of so many steps.
///
/// @param keepLast at least 1: the newest is where a restart begins
/// @param keepEvery steps; 0 for none of the older ones
record Retention(long keepLast, long keepEvery) {
    /// The last one, and the one before in case the last is damaged.
    static final Retention DEFAULT = new Retention(2, 0);

    private static final String KEEP_LAST = "keep_last";
    private static final String KEEP_EVERY = "keep_every";

    static Retention parse(Fields fields) {
        var retention = new Retention(
                fields.integer(KEEP_LAST, 1).orElse(DEFAULT.keepLast), fields.integer(KEEP_EVERY, 1).orElse(DEFAULT.keepEvery));
        fields.finish();
        return retention;
    }

    Map<String, Object> json() {
        var json = new LinkedHashMap<String, Object>();
        json.put(KEEP_LAST, keepLast);
        json.put(KEEP_EVERY, keepEvery > 0 ? keepEvery : null);
        return json;
    }

    /// Those to remove.
    ///
    /// @param all of a session, oldest first
    List<StoredSnapshot> superseded(List<StoredSnapshot> all) {
        var superseded = new ArrayList<StoredSnapshot>();
        long newer = 0;
        for (var snapshot : all.reversed()) {
            if (!snapshot.pinned()) {
                boolean newest = snapshot.equals(all.getLast()); // a restart begins there, and a journal goes on from it
                if (!newest && newer >= keepLast && !reachesMultiple(snapshot)) {
                    superseded.add(snapshot);
                }
                newer++;
            }
        }
        return superseded;
    }

    /// Whether a multiple lies between the snapshot it descends from and this one, which is the first behind it then. Removing others
    /// changes nothing about that.
    private boolean reachesMultiple(StoredSnapshot snapshot) {
        return keepEvery > 0 && snapshot.step() / keepEvery > snapshot.parent().step() / keepEvery;
    }
}
