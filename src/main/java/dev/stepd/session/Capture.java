package dev.stepd.session;

import dev.stepd.engine.StatePart;
import dev.stepd.store.StoredSession;
import dev.stepd.store.StoredSnapshot;
import dev.stepd.store.StoredSnapshot.Parent;
import dev.stepd.tensor.SafetensorsHeader;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Optional;

/// A session's state at one step, ready to be stored.
///
/// @param row the session as it was then
/// @param parts in canonical order: a copy, or the session's own arrays while its strand waits
/// @param mark where in the session's journal it stands
/// @param snapshot but for its parent, which is known when it is written
/// @param descent what its state descends from
/// @param changes what [LiveSession#changes] was
record Capture(StoredSession row, StoredSnapshot snapshot, List<StatePart> parts, Descent descent, long changes, StepJournal.Mark mark,
        Runnable release) {
    private static final String FORMAT = "stepd-snapshot/1";
    private static final String JOURNAL = "journal";

    /// Who wants a snapshot, and whether it is to stay.
    record Asked(StoredSnapshot.Origin origin, boolean pinned) {
        static final Asked BY_STEPD = new Asked(StoredSnapshot.Origin.AUTOMATIC, false);

        static Asked byClient(boolean pinned) {
            return new Asked(StoredSnapshot.Origin.REQUESTED, pinned);
        }
    }

    /// The line of the session's journal that goes on from a snapshot.
    static Optional<String> line(StoredSnapshot snapshot) {
        return Optional.ofNullable(SafetensorsHeader.parse(snapshot.manifest()).metadata().get(JOURNAL));
    }

    /// Copies the state; on the strand.
    ///
    /// @throws dev.stepd.error.ServiceException `UNAVAILABLE` when there is room for a copy neither in main memory nor in a file
    static Capture copy(LiveSession session, Asked asked, Instant created) {
        var live = live(session, asked, created);
        var asleep = session.residence().asleep();
        if (asleep != null) { // a copy already
            var memory = asleep.memory().retain();
            return new Capture(live.row, live.snapshot, live.parts, live.descent, live.changes, live.mark, memory::release);
        }
        var image = Image.of(session.resources(), session.tensorNames(), session.stepper(), "a snapshot of session " + session.id());
        return new Capture(live.row, live.snapshot, image.parts().stream().map(StatePart::of).toList(), live.descent,
                live.changes, live.mark, image::release);
    }

    /// The session's own memory; on the strand, which must wait until it is stored.
    static Capture live(LiveSession session, Asked asked, Instant created) {
        var asleep = session.residence().asleep();
        var parts = asleep != null ? asleep.parts().stream().map(StatePart::of).toList()
                : Image.live(session.tensorNames(), session.stepper());
        var tensorSteps = asleep != null ? asleep.tensorSteps() : session.stepper().tensorSteps();
        var metadata = new LinkedHashMap<>(StateMetadata.write(session.step(), tensorSteps, session.residence().formats()));
        metadata.put("format", FORMAT);
        metadata.put("program", session.programHash());
        var mark = session.journal().mark();
        if (session.journal().isActive()) {
            metadata.put(JOURNAL, mark.line());
        }
        var manifest = new SafetensorsHeader(Expected.like("array", parts).header().entries(), metadata);
        var snapshot = new StoredSnapshot(Identifier.next(), session.id(), session.step(), tensorSteps,
                session.programHash(), manifest.json(), asked.origin(), asked.pinned(), Parent.NONE, manifest.dataBytes(), 0, "", created);
        return new Capture(session.row(), snapshot, parts, session.snapshots().descent(), session.changes(), mark, () -> {});
    }
}
