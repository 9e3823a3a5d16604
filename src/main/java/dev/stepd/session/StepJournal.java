package dev.stepd.session;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.store.journal.Entry;
import dev.stepd.store.journal.Journal;
import dev.stepd.tensor.Fingerprint;
import java.lang.foreign.MemorySegment;
import java.util.BitSet;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// What a session with `durability: journal` writes down before it takes a step; of others, nothing.
///
/// A journal goes on from a snapshot, or from the session's creation, along one line of steps. Whatever else changes the state (an upload, a
/// change of the description, a restore) begins a new line, which is of no use before a snapshot of the changed state is durable: till then steps are
/// refused, and the old line stays what a restart recovers. The same mends a journal that could not be written.
final class StepJournal {
    /// The line that goes on from the creation of the session.
    static final String FIRST_LINE = "0";

    private static final Logger LOG = LoggerFactory.getLogger(StepJournal.class);
    private static final CompletableFuture<Void> DURABLE = CompletableFuture.completedFuture(null);
    /// What a restart may have to take again at most, so far as one step is not more.
    private static final long SNAPSHOT_BYTES = 512L << 20;
    private static final int SNAPSHOT_STATES = 8;

    /// Where in the journal a snapshot stands.
    ///
    /// @param kept when what goes on from there cannot be missed any more
    record Mark(String line, long step, CompletableFuture<Void> kept) {
        static final Mark NONE = new Mark("", 0, DURABLE);
    }

    private final LiveSession session;
    private final boolean active;
    private String line = FIRST_LINE;
    private @Nullable Journal journal;
    private volatile boolean anchored;
    private volatile long durableStep;
    private volatile String remark = "";
    private long damagedAfter = -1;
    private long bytesSinceSnapshot;
    /// When the last step is durable.
    private CompletableFuture<Void> last = DURABLE;
    private CompletableFuture<Void> beforeLast = DURABLE;
    private String markedLine = "";
    private long markedStep;

    StepJournal(LiveSession session) {
        this.session = session;
        this.active = session.description().durability() == Durability.JOURNAL;
    }

    boolean isActive() {
        return active;
    }

    /// The last step that a crash cannot take back.
    long durableStep() {
        return durableStep;
    }

    /// What clients should know beside the session's standing; or empty.
    String remark() {
        return remark;
    }

    /// Whether so much was written that another snapshot is due.
    boolean isLong() {
        return active && bytesSinceSnapshot >= Math.max(SNAPSHOT_BYTES, SNAPSHOT_STATES * session.stateBytes());
    }

    /// Begins the journal of a new session; blocks.
    void begin() {
        if (active) {
            var first = opened(1);
            first.sync().join();
            anchored = true;
        }
    }

    /// Writes down what the next step is made from; on the strand. Throws with nothing changed.
    ///
    /// @throws ServiceException `STORAGE_FULL`, `UNAVAILABLE`
    synchronized void append(Fingerprint body, BitSet present, BitSet given, MemorySegment memory) {
        if (!active) {
            return;
        }
        requireAnchor();
        long step = session.step() + 1;
        var its = opened(step);
        try {
            bytesSinceSnapshot += its.append(Entry.step(step, body, present, given),
                    Stretches.of(session.body(), present, given, memory));
        } catch (ServiceException e) {
            if (its.isBroken()) {
                anchored = false;
            }
            throw e;
        }
        beforeLast = last;
        last = its.sync(); // while the step computes
    }

    /// The step that was written down last was taken; on the strand.
    synchronized void taken() {
        if (active && journal != null) {
            var its = journal;
            long step = session.stepper().step();
            // who waits for the step finds it counted
            last = last.whenComplete((nothing, failure) -> synced(its, step, failure));
        }
    }

    /// Takes back what was written for a step that was not taken.
    synchronized void withdraw() {
        if (active && journal != null) {
            last = beforeLast;
            journal.withdraw();
            anchored = anchored && !journal.isBroken();
        }
    }

    /// When the last step is durable; on the strand.
    synchronized CompletableFuture<Void> durable() {
        // one that failed a snapshot makes good
        var durable = last.isCompletedExceptionally() ? anchor() : last;
        return durable.exceptionallyCompose(failure -> CompletableFuture.failedFuture(new ServiceException(ErrorCode.UNAVAILABLE,
                "the step was taken but is not durable yet: " + Stages.unwrapped(failure).getMessage(), Map.of("effect", "applied"))));
    }

    /// Declares that something other than a step changed the state; on the strand, before a snapshot of it.
    synchronized void beginAnew() {
        if (active) {
            anchored = false;
            closeJournal();
            line = Identifier.next();
            last = DURABLE;
        }
    }

    /// Gets ready for a snapshot of the present state, so that what is written from now on goes on from it; on the strand.
    ///
    /// @throws ServiceException `STORAGE_FULL`, `UNAVAILABLE`
    synchronized Mark mark() {
        if (!active) {
            return Mark.NONE;
        }
        if (journal != null && journal.isBroken()) {
            var before = last;
            beginAnew();
            last = before;
        }
        long step = session.step();
        var its = opened(step + 1);
        if (step != markedStep || !line.equals(markedLine)) {
            its.rotate(step + 1);
            session.steps().keepAnswer(its);
            markedLine = line;
            markedStep = step;
            bytesSinceSnapshot = 0;
        }
        return new Mark(line, step, its.sync());
    }

    /// A marked snapshot is durable: what it covers can go. Not on the strand; blocks.
    void covered(Mark mark) {
        if (!active) {
            return;
        }
        synchronized (this) {
            if (!mark.line().equals(line) || journal == null || journal.isBroken()) {
                return;
            }
            durableStep = anchored ? Math.max(durableStep, mark.step()) : mark.step();
            anchored = true;
            if (last.isCompletedExceptionally()) {
                last = DURABLE; // no step was taken since
            }
        }
        clear(mark);
    }

    /// Steps go on where recovery found the end.
    ///
    /// @param snapshotStep the step recovery began at
    synchronized void resume(Journal found, long snapshotStep, long bytes) {
        line = found.line();
        journal = found;
        anchored = true;
        durableStep = session.stepper().step();
        markedLine = line;
        markedStep = snapshotStep;
        bytesSinceSnapshot = bytes;
    }

    /// Tells of damage for as long as the files are kept.
    void tellDamage(long step) {
        remark = "journal damaged after step " + step;
    }

    /// Steps go on from a new snapshot behind the last good step. The damaged files are put aside when that is durable, and found again before.
    synchronized void resumeBehindDamage() {
        damagedAfter = session.stepper().step();
        durableStep = damagedAfter;
        tellDamage(damagedAfter);
        beginAnew();
        var _ = anchor();
    }

    /// Takes the snapshot that steps wait for.
    CompletableFuture<Void> anchor() {
        return session.snapshots().anchor();
    }

    synchronized void close() {
        closeJournal();
    }

    private void requireAnchor() {
        if (!anchored || journal == null || journal.isBroken()) {
            anchored = false;
            var _ = anchor(); // whose failure is logged, and met by the next step again
            throw new ServiceException(ErrorCode.UNAVAILABLE, "session " + session.id()
                    + " takes no step until a snapshot is stored that its journal can go on from");
        }
    }

    private Journal opened(long firstStep) {
        if (journal == null) {
            var fresh = session.resources().journals().begin(session.id(), line, session.programHash());
            fresh.rotate(firstStep);
            journal = fresh;
        }
        return journal;
    }

    private synchronized void synced(Journal its, long step, @Nullable Throwable failure) {
        if (its != journal) {
            return;
        }
        if (failure == null) {
            durableStep = Math.max(durableStep, step);
        } else {
            anchored = false;
            LOG.error("step {} of session {} is not durable", step, session.id(), failure);
        }
    }

    private void clear(Mark mark) {
        var journals = session.resources().journals();
        try {
            if (damagedAfter >= 0) {
                journals.putAside(session.id(), mark.line(), damagedAfter);
                damagedAfter = -1;
            }
            journals.drop(session.id(), mark.line(), mark.step());
        } catch (ServiceException e) {
            LOG.warn("superseded journal files of session {} stay", session.id(), e);
        }
    }

    private void closeJournal() {
        if (journal != null) {
            journal.close();
            journal = null;
        }
    }
}
