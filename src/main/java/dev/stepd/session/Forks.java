package dev.stepd.session;

import dev.stepd.engine.Translation;
import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.store.StoredSession;
import dev.stepd.store.StoredSnapshot;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// Makes sessions that go on from the state of others. Every call blocks.
///
/// A fork that is to survive a restart is stored as its first snapshot, and until that is complete its row says that it is being
/// made: a restart removes such a row. So there is no fork, or a whole one.
final class Forks {
    private static final Logger LOG = LoggerFactory.getLogger(Forks.class);
    /// In the stored description of a session that is being made.
    private static final String BEING_MADE = "being_forked_from";

    private final Resources resources;
    private final Session source;
    private final ForkRequest request;

    Forks(Resources resources, Session source, ForkRequest request) {
        this.resources = resources;
        this.source = source;
        this.request = request;
    }

    /// Whether a stored description is of a fork whose making ended early.
    static boolean isUnfinished(Map<String, Object> description) {
        return description.containsKey(BEING_MADE);
    }

    /// A session that holds the state and is durable if it is to be, and serves nobody yet.
    ///
    /// @throws ServiceException with nothing changed
    Made make() {
        return request.snapshot().isPresent() ? fromSnapshot(request.snapshot().get()) : fromLiveState();
    }

    /// @param step at which it goes on
    record Made(LiveSession session, Translation translation, long step) {}

    private Made fromLiveState() {
        var live = source.live();
        live.requireReady();
        var before = live.description();
        var next = request.describe(live.status().description());
        var fork = create(next);
        try {
            var translation = resources.engine().translation(before.blueprint(), next.blueprint());
            join(live.ask(() -> {
                requireSame(before, live);
                pass(live, fork, translation);
                return live.step();
            }));
            return finished(fork, translation);
        } catch (RuntimeException e) {
            fork.discard();
            throw e;
        }
    }

    /// A session that sleeps is left asleep where its state stays as it is.
    private void pass(LiveSession live, LiveSession fork, Translation translation) {
        var asleep = live.residence().asleep();
        if (asleep != null && isCopy(live.programHash(), fork, translation)) {
            asleep.putInto(fork.stepper());
        } else {
            requireParameters(live, translation);
            resources.engine().inherit(live.stepper(), fork.stepper(), translation);
        }
    }

    private static boolean isCopy(String programHash, LiveSession fork, Translation translation) {
        return translation.isIdentity() && programHash.equals(fork.programHash());
    }

    /// A change of the description meanwhile is one of the state's meaning.
    private static void requireSame(SessionDescription before, LiveSession live) {
        if (live.description() != before) {
            throw new ServiceException(
                    ErrorCode.CONFLICT, "session " + live.id() + " was changed while it was to be forked; fork it again");
        }
    }

    private Made fromSnapshot(String id) {
        var row = source.row();
        var description = Recovery.description(row);
        var next = request.describe(description);
        var stored = new StoredSnapshots(resources, source.id()).find(id);
        var translation = resources.engine().translation(SessionDescription.parse(description).blueprint(), next.blueprint());
        var fork = create(next);
        try {
            if (isCopy(stored.programHash(), fork, translation)) {
                LoadedSnapshot.loadInto(fork, stored);
            } else {
                pass(row, stored, fork, translation);
            }
            return finished(fork, translation);
        } catch (RuntimeException e) {
            fork.discard();
            throw e;
        }
    }

    /// By way of a session like the one the snapshot is of.
    private void pass(StoredSession row, StoredSnapshot stored, LiveSession fork, Translation translation) {
        var image = awake(LiveSession.create(resources, row.id(), row.created(), image(row, fork)));
        try {
            LoadedSnapshot.loadInto(image, stored);
            requireParameters(image, translation);
            resources.engine().inherit(image.stepper(), fork.stepper(), translation);
        } finally {
            image.discard();
        }
    }

    private static SessionDescription image(StoredSession row, LiveSession fork) {
        var description = new LinkedHashMap<>(Recovery.description(row));
        description.put("device", fork.status().device());
        description.put("durability", "none");
        return SessionDescription.parse(description);
    }

    private LiveSession create(SessionDescription description) {
        var now = Instant.now().truncatedTo(ChronoUnit.MICROS);
        return awake(LiveSession.create(resources, Identifier.next(), now, description));
    }

    /// Keeps a session that does not serve yet from being put to sleep.
    private LiveSession awake(LiveSession session) {
        resources.tiers().remove(session);
        return session;
    }

    private static void requireParameters(LiveSession from, Translation translation) {
        if (from.stepper().step() > 0 && !from.stepper().hasParameters() && translation.startsAtParameters()) {
            throw new ServiceException(ErrorCode.PARAMETERS_MISSING, "session " + from.id()
                    + " has no parameter values, and what the fork keeps starts at them: upload them first");
        }
    }

    private Made finished(LiveSession fork, Translation translation) {
        fork.changed();
        if (fork.description().durability().keeps()) {
            store(fork);
        }
        return new Made(fork, translation, fork.step());
    }

    private void store(LiveSession fork) {
        try {
            resources.store().put(unfinished(fork));
            join(fork.snapshots().storeFirst());
        } catch (RuntimeException e) {
            forget(fork.id());
            throw e;
        }
    }

    /// Removes what is stored of a fork that never served.
    void forget(String id) {
        try {
            resources.store().deleteSession(id);
            resources.journals().delete(id);
        } catch (RuntimeException e) {
            LOG.warn("what was stored of fork {} goes with the next start", id, e);
        }
    }

    private StoredSession unfinished(LiveSession fork) {
        var row = fork.row();
        var description = new LinkedHashMap<>(Recovery.description(row));
        description.put(BEING_MADE, source.id());
        return new StoredSession(row.id(), row.name(), Json.write(description), row.programHash(), row.created());
    }

    private static <T> T join(CompletableFuture<T> future) {
        try {
            return future.join();
        } catch (CompletionException e) {
            throw e.getCause() instanceof ServiceException known ? known : e;
        }
    }
}
