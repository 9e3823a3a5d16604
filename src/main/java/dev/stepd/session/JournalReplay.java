package dev.stepd.session;

import dev.stepd.engine.Stepper;
import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.store.StoredSnapshot;
import dev.stepd.store.journal.Entry;
import dev.stepd.store.journal.Reading;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// Takes the steps of a journal again, from the snapshot they go on from, before the session serves. The same programs over the same bytes
/// make the same bits.
final class JournalReplay {
    private static final Logger LOG = LoggerFactory.getLogger(JournalReplay.class);

    private final LiveSession session;
    private final Reading reading;
    /// Where the journal goes on; absent where it cannot.
    private Reading.@Nullable Place end;
    private Optional<String> damage;

    private JournalReplay(LiveSession session, Reading reading) {
        this.session = session;
        this.reading = reading;
        this.end = reading.last();
        this.damage = reading.damage();
    }

    /// @param newest the snapshot the session was brought back to, none for its creation
    /// @throws ServiceException when what the journal holds is not this session's
    static void of(LiveSession session, Optional<StoredSnapshot> newest) {
        var line = newest.map(snapshot -> Capture.line(snapshot).orElse("")).orElse(StepJournal.FIRST_LINE);
        long from = session.step();
        try (var arena = Arena.ofConfined()) {
            var reading = session.resources().journals().read(session.id(), line, from, arena);
            if (reading.bytes() == 0) {
                throw new ServiceException(ErrorCode.CONFLICT, "the journal behind step " + from
                        + " is not in this data folder; steps may have been answered that only it has");
            }
            if (!reading.records().isEmpty() && !reading.program().equals(session.programHash())) {
                throw new ServiceException(ErrorCode.CONFLICT, "its journal was written by program " + reading.program()
                        + ", the session now runs " + session.programHash());
            }
            var replay = new JournalReplay(session, reading);
            replay.takeAll();
            replay.settle(line, from);
        }
    }

    private void takeAll() {
        var records = reading.records();
        for (int i = 0; i < records.size(); i++) {
            var kept = records.get(i);
            var memory = tiers().withRoom(session, session.buffers()::take); // sessions that are back already may sleep
            try {
                var refusal = take(kept, memory.memory());
                if (refusal != null) {
                    stopAt(kept, i == records.size() - 1 && damage.isEmpty(), refusal);
                    break;
                }
                // of those before the last two no answer is asked for
                if (i >= records.size() - 2) {
                    session.steps().recovered(kept.entry(), memory.retain());
                }
            } finally {
                memory.release();
            }
        }
        session.changed();
    }

    /// Why a record cannot be taken, or null.
    private @Nullable String take(Reading.Kept kept, MemorySegment memory) {
        var entry = kept.entry();
        var stepper = session.stepper();
        var stretches = Stretches.of(stepper.body(), entry.present(), entry.given(), memory);
        if (stretches.stream().mapToLong(MemorySegment::byteSize).sum() != kept.payload().byteSize()) {
            return "the record of step " + entry.step() + " does not fit the session's tensors";
        }
        Stretches.fill(stretches, kept.payload());
        if (entry.kind() == Entry.Kind.STEP && step(entry, memory) == Stepper.Outcome.REJECTED) {
            return "step " + entry.step() + " is refused now";
        }
        return null;
    }

    private Stepper.Outcome step(Entry entry, MemorySegment memory) {
        return tiers().withRoom(session, () -> session.stepper().step(memory, entry.present(), entry.given()));
    }

    private Tiers tiers() {
        return session.resources().tiers();
    }

    /// A refused step at the end was refused before, and the crash came before its record was taken back.
    private void stopAt(Reading.Kept kept, boolean isEnd, String refusal) {
        end = kept.place();
        if (!isEnd) {
            damage = Optional.of(refusal);
        }
    }

    private void settle(String line, long from) {
        var journal = session.journal();
        reading.damagedBefore().ifPresent(journal::tellDamage);
        if (damage.isPresent() || end == null) {
            LOG.error("session {}: journal damaged after step {}: {}; what is damaged is put aside in its journal folder",
                    session.id(), session.step(), damage.orElse("nothing to go on from"));
            journal.resumeBehindDamage();
            return;
        }
        journal.resume(session.resources().journals().resume(session.id(), line, session.programHash(), end), from, reading.bytes());
    }
}
