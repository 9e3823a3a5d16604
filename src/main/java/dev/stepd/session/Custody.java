package dev.stepd.session;

import dev.stepd.store.Census;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// Keeps the map of sessions true to whose they are in the store: brings back what became ours, gives up what was taken,
/// lists what is elsewhere. Where servers share a store, it looks again and again on a thread of its own.
final class Custody implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(Custody.class);

    private final Resources resources;
    private final ConcurrentMap<String, Session> sessions;
    private final ScheduledExecutorService thread = Executors.newSingleThreadScheduledExecutor(
            Thread.ofPlatform().daemon().name("stepd-custody").factory());

    Custody(Resources resources, ConcurrentMap<String, Session> sessions) {
        this.resources = resources;
        this.sessions = sessions;
    }

    /// Looks once on the calling thread, then as often as the store asks for.
    void begin() {
        follow(resources.store().census());
        resources.store().censusEvery().ifPresent(every ->
                thread.scheduleWithFixedDelay(this::look, every.toNanos(), every.toNanos(), TimeUnit.NANOSECONDS));
    }

    private void look() {
        try {
            follow(resources.store().census());
        } catch (RuntimeException e) { // there is a next time
            LOG.debug("no look at whose the sessions are", e);
        }
    }

    private void follow(Census census) {
        census.lost().forEach(this::giveUp);
        census.claimed().forEach(this::bringBack);
        census.elsewhere().forEach((id, owner) -> {
            if (!census.claimed().contains(id) && !census.lost().containsKey(id)) {
                list(id, owner);
            }
        });
        sessions.values().removeIf(session ->
                session.life() instanceof ElsewhereSession && !census.elsewhere().containsKey(session.id()) && !census.claimed().contains(session.id()));
    }

    /// Frees what is here of a session that another server has; only then may it be claimed again.
    private void giveUp(String id, String owner) {
        var session = sessions.get(id);
        if (session != null && session.life() instanceof LiveSession live) {
            try {
                live.giveUp(owner).join();
            } catch (CompletionException e) {
                LOG.warn("session {} was given up", id, e.getCause());
            }
        }
        if (owner.isEmpty()) {
            sessions.remove(id);
        } else {
            list(id, owner); // in its place, so that nobody is told there is none
        }
        resources.store().letGo(id);
    }

    private void bringBack(String id) {
        var row = resources.store().session(id);
        var life = row.flatMap(stored -> Recovery.recover(resources, stored));
        life.ifPresentOrElse(
                found -> sessions.put(id, new Session(resources, id, found)),
                () -> sessions.remove(id));
    }

    private void list(String id, String owner) {
        var known = sessions.get(id);
        if (known != null && known.life() instanceof ElsewhereSession before && before.owner().equals(owner)) {
            return;
        }
        resources.store().session(id).ifPresent(row ->
                sessions.put(id, new Session(resources, id, Recovery.elsewhere(resources, row, owner))));
    }

    /// Waits for a look under way.
    @Override
    public void close() {
        thread.shutdown();
        try {
            thread.awaitTermination(1, TimeUnit.MINUTES);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
