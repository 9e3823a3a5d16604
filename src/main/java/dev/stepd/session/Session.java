package dev.stepd.session;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.store.StoredSession;
import dev.stepd.tensor.SafetensorsMessage;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/// One model being trained: a stepper, its exactly-once step numbers, its snapshots. Safe for concurrent use; whatever
/// changes state runs on the session's strand, one at a time.
public final class Session {
    /// The session as clients see it. `tier` is where its state is: `device`, or, while it sleeps, `memory` or `disk`. `description` is the JSON object with everything resolved
    /// (`name`, `optimizer`, `tensors`, `groups`, `schedule`, `clip`, `wrap`, `average`, `state`, `non_finite`, `durability`,
    /// `snapshot_every`, `snapshots`, `device`, `pinned`).
    public record Status(
            String id,
            Map<String, Object> description,
            long step,
            long durableStep,
            long stateBytes,
            boolean hasParameters,
            String device,
            String tier,
            String status,
            Instant created) {}

    /// A stored snapshot as clients see it.
    ///
    /// @param bytes of the state
    /// @param storedBytes what it added to the database
    /// @param pinned whether it stays until it is deleted
    /// @param parent the snapshot its state descends from, which may be gone; empty for none
    public record SnapshotInfo(
            String id, long step, long bytes, long storedBytes, String digest, boolean pinned, String parent, Instant created) {}

    /// A step and the digest of everything a session keeps at it.
    public record Digest(long step, String digest) {}

    /// Bytes to send, leased until [#close]; `metadata` is already in the message's header.
    public record Download(long step, SafetensorsMessage message, Runnable release) implements AutoCloseable {
        @Override
        public void close() {
            release.run();
        }
    }

    private final String id;
    private final StoredSnapshots stored;
    private volatile Life life;

    Session(Resources resources, String id, Life life) {
        this.id = id;
        this.stored = new StoredSnapshots(resources, id);
        this.life = life;
        resources.events().of(id); // to be listened to before anything happens
    }

    public String id() {
        return id;
    }

    public Status status() {
        return life.status();
    }

    /// Admits a step's body: checks the step number as far as it can be known now, reserves memory.
    /// A replay is answered only after its body arrived and proved the same.
    ///
    /// @throws dev.stepd.error.ServiceException STEP_MISMATCH, PARAMETERS_MISSING, BODY_TOO_LARGE, TOO_MANY_REQUESTS,
    ///    UNAVAILABLE
    public Incoming<StepAnswer> receiveStep(StepOrder order) {
        return live().steps().receive(order);
    }

    /// Admits parameter values: every tensor, in its declared shape, finite, in its declared dtype.
    public Incoming<Status> receiveParameters(long contentLength) {
        return live().transfers().receiveParameters(contentLength);
    }

    /// Admits slots (`<tensor>#<slot>`), all of them, or before the first step some; `__metadata__.step` sets the step.
    public Incoming<Status> receiveState(long contentLength) {
        return live().transfers().receiveState(contentLength);
    }

    /// The same with every slot in f32, whatever it is kept in.
    public Incoming<Status> receivePlainState(long contentLength) {
        return live().transfers().receivePlainState(contentLength);
    }

    /// A consistent copy of the parameters.
    public CompletionStage<Download> parameters() {
        return live().transfers().parameters();
    }

    /// An average of the parameters that the session keeps: of its `average`, of a wrapper, or of the optimizer, by name.
    ///
    /// @throws dev.stepd.error.ServiceException UNKNOWN_NAME with those it keeps, PARAMETERS_MISSING
    public CompletionStage<Download> average(String name) {
        return live().transfers().average(name);
    }

    /// A consistent copy of every slot.
    public CompletionStage<Download> state() {
        return live().transfers().state();
    }

    /// The same with every slot in f32, whatever it is kept in.
    public CompletionStage<Download> plainState() {
        return live().transfers().plainState();
    }

    /// What happens to the session from now on, or from the event on behind the one that the caller saw last.
    ///
    /// @param last an event's id, or `0` for all that is kept
    /// @param ready called from any thread, as [EventStream#next] says; it must not wait
    /// @throws dev.stepd.error.ServiceException INVALID_REQUEST, TOO_MANY_REQUESTS, UNAVAILABLE
    public EventStream events(Optional<String> last, Runnable ready) {
        if (life instanceof ElsewhereSession elsewhere) {
            throw Standing.taken(id, elsewhere.owner());
        }
        stored.resources().admission().requireOpen();
        return stored.resources().events().open(id, last, ready);
    }

    public CompletionStage<Digest> digest() {
        return live().transfers().digest();
    }

    /// Replaces the named fields (`optimizer` hyperparameters, `groups`, `schedule`, `clip`, `wrap`, `average`, `name`, `non_finite`,
    /// `snapshot_every`, `snapshots`) from the next step on.
    public CompletionStage<Status> patch(Map<String, Object> changes) {
        return live().transfers().patch(changes);
    }

    /// Takes a snapshot of the present state that stays until it is deleted; completes when it is durable.
    public CompletionStage<SnapshotInfo> snapshot() {
        return snapshot(true);
    }

    /// @param pinned whether it stays until it is deleted, rather than as the session's `snapshots` says
    public CompletionStage<SnapshotInfo> snapshot(boolean pinned) {
        return live().snapshots().take(pinned);
    }

    /// The stored snapshots, oldest first. Blocks.
    public List<SnapshotInfo> snapshots() {
        return stored.list();
    }

    /// A stored snapshot as safetensors: parameters (`w`) and slots (`w#exp_avg`).
    public CompletionStage<Download> snapshotData(String snapshotId) {
        return Stages.supply(() -> stored.data(snapshotId), stored.resources().lanes().loading());
    }

    /// Says whether a snapshot stays until it is deleted. Blocks.
    public SnapshotInfo pinSnapshot(String snapshotId, boolean pinned) {
        switch (life) {
            case LiveSession live -> live.snapshots().unlessTaken(() -> stored.pin(snapshotId, pinned));
            case LostSession _ -> stored.pin(snapshotId, pinned);
            case ElsewhereSession elsewhere -> throw Standing.taken(id, elsewhere.owner());
        }
        return StoredSnapshots.info(stored.find(snapshotId));
    }

    /// Blocks.
    public void deleteSnapshot(String snapshotId) {
        switch (life) {
            case LiveSession live -> live.snapshots().delete(snapshotId);
            case LostSession lost -> stored.delete(snapshotId);
            case ElsewhereSession elsewhere -> throw Standing.taken(id, elsewhere.owner());
        }
    }

    /// Loads a snapshot, proves its digest, and continues at its step.
    public CompletionStage<Digest> restore(String snapshotId) {
        return switch (life) {
            // there is no way back to a lost device, but with auto there is another
            case LiveSession live when live.isStranded() -> restore(snapshotId, live.description().device());
            case LiveSession live -> live.snapshots().restore(snapshotId);
            case LostSession lost -> stored(Stages.supply(
                    () -> replace(lost, lost.stored(), snapshotId), stored.resources().lanes().loading()));
            case ElsewhereSession elsewhere -> throw Standing.taken(id, elsewhere.owner());
        };
    }

    /// The same on another device, whatever the session was on or was to be on. That is given up once the snapshot is proved there,
    /// and changes nothing before.
    ///
    /// @param device `auto`, `cpu`, `cuda:1`; from now on the session's
    /// @throws dev.stepd.error.ServiceException DEVICE_UNAVAILABLE, INVALID_VALUE, OUT_OF_MEMORY
    public CompletionStage<Digest> restore(String snapshotId, String device) {
        var before = life;
        var moved = Stages.supply(() -> move(before, snapshotId, device), stored.resources().lanes().loading());
        return Stages.plain(moved.thenCompose(digest -> {
            var ended = before instanceof LiveSession old ? old.retire() : CompletableFuture.<Void>completedFuture(null);
            var now = live();
            return ended.thenCompose(_ -> now.askStage(() -> now.snapshots().storeIfDurable())).thenApply(_ -> digest);
        }));
    }

    /// Has a journal begin where a lost session was restored to.
    private CompletionStage<Digest> stored(CompletionStage<Digest> restored) {
        return Stages.plain(restored.thenCompose(digest -> {
            var now = live();
            return now.journal().isActive()
                    ? now.askStage(() -> now.snapshots().storeIfDurable()).thenApply(_ -> digest)
                    : CompletableFuture.completedFuture(digest);
        }));
    }

    Life life() {
        return life;
    }

    LiveSession live() {
        return switch (life) {
            case LiveSession live -> live;
            case LostSession lost -> throw Standing.failed(id, lost.reason());
            case ElsewhereSession elsewhere -> throw Standing.taken(id, elsewhere.owner());
        };
    }

    private Digest move(Life before, String snapshotId, String device) {
        return replace(before, Recovery.onDevice(row(before), device), snapshotId);
    }

    /// What a session is to be made of anew.
    ///
    /// @throws ServiceException where that is not this server's to do
    StoredSession row() {
        return row(life);
    }

    private StoredSession row(Life of) {
        return switch (of) {
            case LiveSession live -> {
                live.requireRestorable();
                yield live.row();
            }
            case LostSession lost -> lost.stored();
            case ElsewhereSession elsewhere -> throw Standing.taken(id, elsewhere.owner());
        };
    }

    /// Puts a session made of a row and a snapshot in the place of one.
    private synchronized Digest replace(Life before, StoredSession row, String snapshotId) {
        var snapshot = stored.find(snapshotId);
        if (life != before) {
            throw new ServiceException(ErrorCode.CONFLICT, "session " + id + " was restored meanwhile");
        }
        var next = Recovery.revive(stored.resources(), row, Optional.of(snapshot));
        try {
            stored.resources().store().put(next.row());
        } catch (RuntimeException e) {
            next.discard();
            throw e;
        }
        life = next;
        next.history().restored(snapshotId, snapshot.step());
        return new Digest(snapshot.step(), snapshot.digest());
    }
}
