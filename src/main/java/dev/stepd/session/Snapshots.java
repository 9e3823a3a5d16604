package dev.stepd.session;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.session.Capture.Asked;
import dev.stepd.session.Session.SnapshotInfo;
import dev.stepd.store.StoredSnapshot;
import dev.stepd.store.StoredSnapshot.Parent;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// Takes the snapshots of one session and brings them back.
///
/// A snapshot is copied on the strand and written from the store's own threads, one after the other, while stepping
/// goes on. Only where neither memory nor the data folder has room for the copy does the session wait until its own memory is
/// written.
final class Snapshots {
    private static final Logger LOG = LoggerFactory.getLogger(Snapshots.class);
    /// So that what is read for the digest is still in the processor's cache when it is stored.
    private static final long WRITTEN_AT_ONCE = 1 << 20;

    private static final Duration TICK = Duration.of(1, ChronoUnit.MICROS);

    private final LiveSession session;
    private final StoredSnapshots stored;
    private final Strand storing;
    private final AtomicBoolean automaticUnderWay = new AtomicBoolean();
    private volatile long durableStep;
    private volatile long storedChanges;
    private long takenAtStep;
    private Descent descent = new Descent(Parent.NONE);
    /// The snapshot that the journal goes on from.
    private CompletableFuture<?> anchoring = CompletableFuture.completedFuture(null);
    private Instant lastCreated = Instant.EPOCH;

    Snapshots(LiveSession session) {
        this.session = session;
        this.stored = new StoredSnapshots(session.resources(), session.id());
        this.storing = new Strand(session.resources().lanes().storing(session.stateBytes()));
    }

    /// The step a restart would continue at.
    long durableStep() {
        return session.journal().isActive() ? session.journal().durableStep() : durableStep;
    }

    StoredSnapshots stored() {
        return stored;
    }

    /// What the present state descends from; on the strand.
    Descent descent() {
        return descent;
    }

    CompletableFuture<SnapshotInfo> take(boolean pinned) {
        return session.askStage(() -> store(Asked.byClient(pinned)));
    }

    /// Takes the automatic snapshot if one is due; on the strand. One that is still being written is not overtaken: the
    /// next is taken at the first step after it. A failure is logged, and told by a durable step that stays behind.
    void afterStep() {
        var description = session.description();
        boolean due = session.step() - takenAtStep >= description.snapshotEvery() || session.journal().isLong();
        if (!description.durability().keeps() || !due
                || !automaticUnderWay.compareAndSet(false, true)) {
            return;
        }
        takenAtStep = session.step();
        storeOrFail(Asked.BY_STEPD).whenComplete((info, failure) -> {
            automaticUnderWay.set(false);
            if (failure != null) {
                LOG.warn("no automatic snapshot of session {}, its durable step stays {}",
                        session.id(), durableStep, failure);
            }
        });
    }

    /// Stores the state if the session is to survive a restart; on the strand.
    CompletionStage<Void> storeIfDurable() {
        if (!session.description().durability().keeps()) {
            return CompletableFuture.completedFuture(null);
        }
        session.journal().beginAnew();
        anchoring = storeOrFail(Asked.BY_STEPD);
        return inEffect(anchoring.thenApply(info -> null));
    }

    /// Stores the state of a session that does not serve yet.
    CompletableFuture<SnapshotInfo> storeFirst() {
        session.journal().beginAnew();
        takenAtStep = session.stepper().step();
        return queue(Capture.live(session, Asked.BY_STEPD, nextCreated()));
    }

    /// Stores the state for the journal to go on from, unless that is under way; on the strand. A failure is logged.
    CompletableFuture<Void> anchor() {
        if (anchoring.isDone()) {
            anchoring = storeOrFail(Asked.BY_STEPD);
            anchoring.exceptionally(failure -> {
                LOG.warn("no snapshot of session {} for its journal to go on from", session.id(), failure);
                return null;
            });
        }
        return anchoring.thenApply(info -> null);
    }

    /// Stores the description if the session is to survive a restart; on the strand.
    CompletionStage<Void> storeRow() {
        if (session.journal().isActive()) {
            return storeIfDurable(); // steps taken before the change must be taken again as they were
        }
        var row = session.row();
        return session.description().durability().keeps()
                ? inEffect(afterTheOthers(() -> unlessTaken(() -> session.resources().store().put(row))))
                : CompletableFuture.completedFuture(null);
    }

    /// Stores what no snapshot has yet, if the session is to survive; on the strand, which waits.
    void storeBeforeShutdown() {
        afterTheOthers(() -> {}).join();
        if (session.description().durability().keeps() && session.changes() != storedChanges) {
            write(Capture.live(session, Asked.BY_STEPD, nextCreated()));
        }
    }

    /// Loads a snapshot beside the state, proves it, and takes it over.
    CompletableFuture<Session.Digest> restore(String snapshotId) {
        var loading = new CompletableFuture<LoadedSnapshot>();
        storing.execute(() -> {
            try {
                loading.complete(LoadedSnapshot.load(session.resources(), stored.find(snapshotId)));
            } catch (Throwable e) {
                loading.completeExceptionally(e);
            }
        });
        return Stages.plain(loading.thenCompose(loaded -> {
            var done = new CompletableFuture<Session.Digest>();
            session.onStrand(() -> {
                try {
                    session.requireRestorable();
                    loaded.applyTo(session);
                    descent = new Descent(loaded.stored().asParent());
                    session.recovered();
                    LOG.info("session {} restored at step {} from snapshot {}",
                            session.id(), session.step(), snapshotId);
                    session.history().restored(snapshotId, session.step());
                    var digest = new Session.Digest(loaded.stored().step(), loaded.stored().digest());
                    Stages.pass(storeIfDurable().thenApply(nothing -> digest), done);
                } catch (Throwable e) {
                    done.completeExceptionally(session.told(e));
                } finally {
                    loaded.release();
                }
            });
            return done;
        }));
    }

    void delete(String snapshotId) {
        if (session.journal().isActive() && stored.isNewest(snapshotId)) {
            throw new ServiceException(ErrorCode.CONFLICT, "the journal of session " + session.id() + " goes on from snapshot "
                    + snapshotId + ", its newest: take another before you delete it");
        }
        stored.delete(snapshotId);
        durableStep = stored.durableStep();
        storedChanges = -1; // whatever was stored last may be what went
    }

    /// Takes over the newest snapshot of a session that is being brought back, before it serves.
    void recover(StoredSnapshot newest) {
        LoadedSnapshot.loadInto(session, newest);
        descent = new Descent(newest.asParent());
        durableStep = newest.step();
        takenAtStep = newest.step();
        storedChanges = session.changes();
        lastCreated = newest.created();
    }

    /// Runs on the store's threads, behind what this session has queued there.
    CompletableFuture<Void> afterTheOthers(Runnable task) {
        var done = new CompletableFuture<Void>();
        storing.execute(() -> {
            try {
                task.run();
                done.complete(null);
            } catch (Throwable e) {
                done.completeExceptionally(e);
            }
        });
        return done;
    }

    private CompletableFuture<SnapshotInfo> storeOrFail(Asked asked) {
        try {
            return store(asked);
        } catch (RuntimeException e) {
            return CompletableFuture.failedFuture(e);
        }
    }

    private CompletableFuture<SnapshotInfo> store(Asked asked) {
        takenAtStep = session.step();
        var created = nextCreated();
        Capture copy;
        try {
            copy = Capture.copy(session, asked, created);
        } catch (ServiceException e) {
            if (session.isSmall()) {
                throw e; // may be on a thread that must not wait for the database
            }
            var written = queue(Capture.live(session, asked, created));
            written.handle((info, failure) -> info).join();
            return written;
        }
        return queue(copy);
    }

    private CompletableFuture<SnapshotInfo> queue(Capture capture) {
        var done = new CompletableFuture<SnapshotInfo>();
        storing.execute(() -> {
            try {
                done.complete(write(capture));
            } catch (Throwable e) {
                done.completeExceptionally(e);
            } finally {
                capture.release().run();
            }
        });
        return done;
    }

    private SnapshotInfo write(Capture capture) {
        var written = new AtomicReference<StoredSnapshot>();
        unlessTaken(() -> written.set(store(capture)));
        var snapshot = written.get();
        capture.descent().stored(snapshot);
        durableStep = snapshot.step();
        storedChanges = capture.changes();
        session.journal().covered(capture.mark());
        removeSuperseded();
        var info = StoredSnapshots.info(snapshot);
        session.history().snapshot(info);
        return info;
    }

    private StoredSnapshot store(Capture capture) {
        var snapshot = capture.snapshot().withParent(capture.descent().last());
        var digest = new StateDigest(snapshot.step(), snapshot.tensorSteps());
        var admission = session.resources().admission();
        boolean givesWay = Lanes.givesWay(session.stateBytes());
        try (var writing = session.resources().store().write(capture.row(), snapshot)) {
            for (var part : capture.parts()) {
                digest.begin(part.key(), part.dtype(), part.shape());
                writing.begin(part.array().byteSize());
                Copying.show(part.array(), WRITTEN_AT_ONCE, bytes -> {
                    long start = System.nanoTime();
                    boolean busy = admission.isBusy();
                    digest.update(bytes);
                    writing.write(bytes);
                    if (givesWay && (busy || admission.isBusy())) {
                        Courtesy.rest(System.nanoTime() - start);
                    }
                });
            }
            capture.mark().kept().join(); // before: a snapshot is where a restart begins
            return writing.complete(digest.finish());
        }
    }

    /// Writes to the store; when another server has the session there, this one ends.
    void unlessTaken(Runnable write) {
        try {
            write.run();
        } catch (ServiceException e) {
            if (e.code() == ErrorCode.NOT_OWNER) {
                session.taken(String.valueOf(e.members().get("owner")));
            }
            throw e;
        }
    }

    /// What is not removed now is with the next snapshot.
    private void removeSuperseded() {
        var store = session.resources().store();
        try {
            for (var old : session.description().retention().superseded(store.snapshots(session.id()))) {
                store.deleteSnapshot(session.id(), old.id());
            }
        } catch (ServiceException e) {
            LOG.warn("superseded snapshots of session {} stay: {}", session.id(), e.getMessage());
        }
    }

    /// Later than every snapshot of this session before, whatever the clock does: the newest one counts.
    private Instant nextCreated() {
        var now = Instant.now().truncatedTo(ChronoUnit.MICROS);
        lastCreated = now.isAfter(lastCreated) ? now : lastCreated.plus(TICK);
        return lastCreated;
    }

    /// Tells a failed write from a failed change.
    private CompletionStage<Void> inEffect(CompletableFuture<Void> storing) {
        return storing.exceptionallyCompose(wrapped -> {
            var failure = Stages.unwrapped(wrapped);
            boolean taken = failure instanceof ServiceException known && known.code() == ErrorCode.NOT_OWNER;
            return CompletableFuture.failedFuture(taken ? failure : new ServiceException(ErrorCode.UNAVAILABLE,
                    "the change is in effect but was not stored: " + failure.getMessage(), Map.of("effect", "applied")));
        });
    }
}
