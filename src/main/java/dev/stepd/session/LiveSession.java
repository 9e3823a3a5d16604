package dev.stepd.session;

import dev.stepd.engine.BodyLayout;
import dev.stepd.engine.Engine.Blueprint;
import dev.stepd.engine.Stepper;
import dev.stepd.error.ServiceException;
import dev.stepd.store.StoredSession;
import java.time.Instant;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// A session with its optimizer in memory. The stepper is touched on the strand only; what other threads may ask is
/// published in volatile fields after each change.
final class LiveSession implements Life {
    private static final Logger LOG = LoggerFactory.getLogger(LiveSession.class);

    private final String id;
    private final Instant created;
    private final Resources resources;
    private final Residence residence;
    private final BodyLayout body;
    private final Strand strand;
    private final Buffers buffers;
    private final Steps steps;
    private final Transfers transfers;
    private final Snapshots snapshots;
    private final StepJournal journal;
    private final History history;
    private final long stateBytes;

    private volatile SessionDescription description;
    private volatile Map<String, Object> resolved;
    private volatile String programHash;
    private volatile Standing standing = new Standing.Ready();
    private volatile long step;
    private volatile boolean hasParameters;
    private volatile boolean needsParameters;
    private volatile long lastUsed;
    private long changes;
    private boolean freed;

    /// @throws ServiceException when the optimizer is not one, or there is no memory for it
    static LiveSession create(Resources resources, String id, Instant created, SessionDescription description) {
        return resources.tiers().withRoom(() -> resources.engine().create(description.blueprint(), description.device(),
                stepper -> new LiveSession(resources, id, created, description, stepper)));
    }

    private LiveSession(
            Resources resources, String id, Instant created, SessionDescription description, Stepper stepper) {
        this.id = id;
        this.created = created;
        this.resources = resources;
        this.residence = new Residence(this, stepper);
        this.body = stepper.body();
        this.lastUsed = System.nanoTime();
        this.description = description;
        this.resolved = Collections.unmodifiableMap(description.resolved(resources.engine()));
        this.programHash = resources.engine().programHash(description.blueprint());
        this.stateBytes = stepper.stateBytes();
        long elements = stepper.layout().elementCount();
        this.strand = new Strand(resources.lanes().stepping(elements));
        this.buffers = new Buffers(stepper.hostMemory(), stepper.body().byteCount(),
                "the gradients of session " + id);
        this.steps = new Steps(this);
        this.transfers = new Transfers(this);
        this.snapshots = new Snapshots(this);
        this.journal = new StepJournal(this);
        this.history = resources.events().of(id);
        publish(stepper);
        resources.tiers().add(this);
    }

    String id() {
        return id;
    }

    Resources resources() {
        return resources;
    }

    /// Awake, for tasks on the strand only, but for what says otherwise.
    ///
    /// @throws ServiceException `UNAVAILABLE` when the session sleeps and there is no room for it now
    Stepper stepper() {
        return residence.awake();
    }

    Residence residence() {
        return residence;
    }

    BodyLayout body() {
        return body;
    }

    /// When the session was stepped last or otherwise in use, by [System#nanoTime].
    long lastUsed() {
        return lastUsed;
    }

    void used() {
        lastUsed = System.nanoTime();
    }

    /// Declares that nobody is using the session yet, so that it may leave for others.
    void unused() {
        lastUsed = resources.tiers().idleSince();
    }

    boolean isReady() {
        return standing() instanceof Standing.Ready;
    }

    Buffers buffers() {
        return buffers;
    }

    Steps steps() {
        return steps;
    }

    Transfers transfers() {
        return transfers;
    }

    Snapshots snapshots() {
        return snapshots;
    }

    /// What happened to it, for whoever listens. From any thread.
    History history() {
        return history;
    }

    StepJournal journal() {
        return journal;
    }

    SessionDescription description() {
        return description;
    }

    Blueprint blueprint() {
        return description.blueprint();
    }

    List<String> tensorNames() {
        return blueprint().tensors().stream().map(tensor -> tensor.name()).toList();
    }

    String programHash() {
        return programHash;
    }

    /// Finished steps, as of the last task on the strand.
    long step() {
        return step;
    }

    boolean hasParameters() {
        return hasParameters;
    }

    boolean needsParameters() {
        return needsParameters;
    }

    long stateBytes() {
        return stateBytes;
    }

    boolean isSmall() {
        return buffers.bytes() < Lanes.SMALL_ELEMENTS_MAX * Float.BYTES;
    }

    /// With the device lost, every session on it is, whoever met the error.
    private Standing standing() {
        var now = standing;
        var lost = residence.reasonLost();
        return lost != null && (now instanceof Standing.Ready || now instanceof Standing.Failed) ? new Standing.Stranded(lost) : now;
    }

    void requireReady() {
        standing().requireReady(id);
        if (description.durability() != Durability.NONE) {
            resources.store().requireOwned(id); // what is promised to last must not be promised by two
        }
    }

    /// A failed session takes a restore, and nothing else.
    void requireRestorable() {
        if (!(standing instanceof Standing.Failed) && !isStranded()) {
            requireReady();
        }
    }

    /// Whether the session's device is lost, so that it can only be restored on another.
    boolean isStranded() {
        return standing() instanceof Standing.Stranded;
    }

    /// What to answer for a failure: with the device lost, that, whatever came of it here.
    Throwable told(Throwable failure) {
        return standing() instanceof Standing.Stranded(var reason) ? Standing.stranded(id, reason) : failure;
    }

    @Override
    public Session.Status status() {
        return new Session.Status(id, resolved, step, snapshots.durableStep(), stateBytes, hasParameters,
                residence.device(), residence.tier().text(), standingText(), created);
    }

    private String standingText() {
        var text = standing().text();
        return journal.remark().isEmpty() ? text : text + "; " + journal.remark();
    }

    /// The session's row as it is now.
    StoredSession row() {
        return new StoredSession(id, description.name(), Json.write(resolved), programHash, created);
    }

    /// Runs a task that the session's standing does not concern. It must not throw.
    void onStrand(Runnable task) {
        strand.execute(task);
    }

    /// Does something now if the session is idle; it must not throw.
    ///
    /// @return whether it was done, and said so
    boolean tryOnStrand(BooleanSupplier task) {
        var done = new AtomicBoolean();
        return strand.tryHere(() -> done.set(task.getAsBoolean())) && done.get();
    }

    /// Runs a short task on the calling thread if the session is idle, small and awake, else on the strand. It must not throw.
    void onStrandOrHere(Runnable task) {
        if (isSmall() && residence.tier() == Tier.DEVICE) {
            strand.executeHere(task);
        } else {
            strand.execute(task);
        }
    }

    /// Asks for something on the strand, if the session is ready by then.
    <T> CompletableFuture<T> ask(Supplier<T> question) {
        return askStage(() -> CompletableFuture.completedFuture(question.get()));
    }

    /// Like [#ask] for an answer that takes longer than its turn on the strand.
    <T> CompletableFuture<T> askStage(Supplier<CompletionStage<T>> question) {
        var future = new CompletableFuture<T>();
        strand.execute(() -> {
            try {
                requireReady();
                Stages.pass(question.get(), future, this::told);
            } catch (Throwable e) {
                future.completeExceptionally(told(e));
            }
        });
        return future;
    }

    /// Makes a change of state that may break off half-way, after which the session is not to be trusted.
    void changing(String what, Runnable change) {
        try {
            change.run();
        } catch (RuntimeException | Error e) {
            fail(what + " broke off", e);
            throw e;
        }
    }

    /// Declares on the strand that parameters, slots or counters moved.
    void changed() {
        changes++;
        publish(residence.awake());
    }

    /// How often the state changed so far; on the strand.
    long changes() {
        return changes;
    }

    private void publish(Stepper stepper) {
        step = stepper.step();
        hasParameters = stepper.hasParameters();
        needsParameters = stepper.needsParameters();
    }

    /// Takes a new description, from the next step on; on the strand.
    void reconfigure(SessionDescription next) {
        var stepper = residence.awake();
        resources.engine().reconfigure(stepper, next.blueprint());
        programHash = resources.engine().programHash(next.blueprint());
        resolved = Collections.unmodifiableMap(next.resolved(resources.engine()));
        description = next;
        publish(stepper);
        history.reconfigured(step);
    }

    /// Declares the state untrustworthy after a defect, so that no further step builds on it.
    void fail(String reason, Throwable cause) {
        LOG.error("session {} failed: {}", id, reason, cause);
        standing = new Standing.Failed(reason);
        history.failed(reason, step);
    }

    /// Declares that another server has the session, so that nothing more is done for it here.
    void taken(String owner) {
        if (!(standing instanceof Standing.Taken)) {
            LOG.error("session {} was taken over by server {}, step {} is the last one here and {} the last one stored here",
                    id, owner, step, snapshots.durableStep());
            history.failed("server " + owner + " has the session", step);
        }
        standing = new Standing.Taken(owner);
    }

    /// Frees a session that another server has; what is queued is refused. Done when nothing of it is left here.
    CompletableFuture<Void> giveUp(String owner) {
        taken(owner);
        var done = new CompletableFuture<Void>();
        strand.execute(() -> {
            free();
            Stages.pass(snapshots.afterTheOthers(() -> {}), done);
        });
        return done;
    }

    /// Declares a failed session sound after a restore.
    void recovered() {
        if (standing instanceof Standing.Failed) {
            standing = new Standing.Ready();
        }
    }

    /// Refuses new work; what is queued still runs.
    void drain() {
        if (standing instanceof Standing.Ready) {
            standing = new Standing.Draining();
        }
    }

    /// Takes the last snapshot if one is due, then frees everything.
    CompletableFuture<Void> shutDown() {
        var done = new CompletableFuture<Void>();
        strand.execute(() -> {
            try {
                if (isStranded()) {
                    LOG.error("session {} ends with its device lost, its durable step is {}", id, snapshots.durableStep());
                } else if (!freed && !(standing instanceof Standing.Failed) && !(standing instanceof Standing.Taken)) {
                    snapshots.storeBeforeShutdown();
                }
            } catch (RuntimeException e) {
                LOG.error("session {} could not be stored at shutdown, its durable step is {}",
                        id, snapshots.durableStep(), e);
            } finally {
                standing = new Standing.Draining();
                free();
                done.complete(null);
            }
        });
        return done;
    }

    /// Ends the session: what is queued before runs, what comes after is refused.
    CompletableFuture<Void> delete() {
        var done = new CompletableFuture<Void>();
        strand.execute(() -> {
            standing = new Standing.Deleted();
            free();
            Stages.pass(snapshots.afterTheOthers(() -> snapshots.unlessTaken(() -> {
                resources.store().deleteSession(id);
                resources.journals().delete(id);
            })), done);
        });
        return done;
    }

    /// Ends a session whose place another has taken: what is queued before runs, what comes after may be tried again. Done when
    /// everything of it is stored and freed.
    CompletableFuture<Void> retire() {
        drain();
        var done = new CompletableFuture<Void>();
        strand.execute(() -> {
            standing = new Standing.Draining();
            free();
            Stages.pass(snapshots.afterTheOthers(() -> {}), done);
        });
        return done;
    }

    /// Frees a session that never came to serve.
    void discard() {
        standing = new Standing.Deleted();
        free();
    }

    private void free() {
        if (freed) {
            return;
        }
        freed = true;
        resources.tiers().remove(this);
        // the stepper first: a device may still read what arrived in a buffer
        for (var part : List.<Runnable>of(journal::close, steps::forget, residence::close, buffers::close)) {
            try {
                part.run();
            } catch (RuntimeException e) {
                LOG.error("session {} ended, not all it had on {} could be freed", id, residence.device(), e);
            }
        }
    }
}
