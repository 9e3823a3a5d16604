package dev.stepd.session;

import dev.stepd.engine.Engine;
import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.store.SnapshotStore;
import dev.stepd.store.journal.Journals;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentSkipListMap;
import org.jspecify.annotations.Nullable;

/// Every session of this server. Its one mutable field is the map of them.
///
/// [#recover], [#create], [#delete] and [#close] block on the database: they belong on no event loop.
public final class Sessions implements AutoCloseable {
    /// Bounds on what clients may ask for.
    ///
    /// @param headerBytes longest safetensors header
    /// @param bytesInFlight bodies being received or waiting for their step, all sessions together
    /// @param sessions how many may exist
    /// @param idle how long a session keeps its place on its device after it was stepped last, when others need it
    /// @param eventStreams how many may be read at a time
    public record Limits(long headerBytes, long bytesInFlight, int sessions, Duration idle, int eventStreams) {
        private static final int EVENT_STREAMS = 1000;

        public Limits(long headerBytes, long bytesInFlight, int sessions, Duration idle) {
            this(headerBytes, bytesInFlight, sessions, idle, EVENT_STREAMS);
        }
    }

    /// Sessions that went to sleep to make room, that woke, and that sleep now.
    ///
    /// @param toMemory, toDisk how often a session was moved there
    public record Sleep(long toMemory, long toDisk, long wakes, long inMemory, long onDisk) {}

    /// A page of sessions and where the next one starts; empty behind the last.
    public record Page(List<Session.Status> sessions, String nextPageToken) {}

    private final Resources resources;
    private final ConcurrentSkipListMap<String, Session> sessions = new ConcurrentSkipListMap<>();
    private final Custody custody;

    /// Sessions that wait for their snapshots where main memory has no room for a copy.
    public Sessions(Engine engine, SnapshotStore store, Journals journals, Limits limits) {
        this(engine, store, journals, limits, null);
    }

    /// @param engine stays the caller's, like `store` and `journals`: all are closed after this
    /// @param spool the folder that copies are put into where main memory has no room; made when first needed
    public Sessions(Engine engine, SnapshotStore store, Journals journals, Limits limits, @Nullable Path spool) {
        var lanes = new Lanes();
        resources = new Resources(engine, store, journals, new Spool(spool), limits, new Admission(limits.bytesInFlight()),
                new Events(limits.eventStreams()), lanes, new Tiers(limits.idle(), lanes));
        custody = new Custody(resources, sessions);
    }

    /// Brings back every stored session that no other server has, at its durable step. Called once, before the first request.
    public void recover() {
        custody.begin();
    }

    /// Creates a session from its description as JSON came.
    public Session create(Map<String, Object> description) {
        requireRoom();
        var parsed = SessionDescription.parse(description);
        var id = Identifier.next();
        var live = LiveSession.create(resources, id, Instant.now().truncatedTo(ChronoUnit.MICROS), parsed);
        try {
            live.journal().begin(); // before the row: a row without its journal would be damage
            if (parsed.durability().keeps()) {
                resources.store().put(live.row());
            }
        } catch (RuntimeException e) {
            live.discard();
            resources.events().forget(id);
            resources.journals().delete(id);
            throw e;
        }
        return serve(live);
    }

    /// Creates a session that goes on from another's state, live or of a snapshot, with what the request as JSON came changes of its
    /// description. The other stays as it is.
    public Fork fork(String id, Map<String, Object> request) {
        requireRoom();
        var source = find(id);
        var parsed = ForkRequest.parse(request);
        var made = new Forks(resources, source, parsed).make();
        resources.tiers().add(made.session());
        return new Fork(serve(made.session()), id, parsed.snapshot().orElse(""), made.step(), Fork.Slots.of(made.translation()));
    }

    private void requireRoom() {
        resources.admission().requireOpen();
        if (sessions.size() >= resources.limits().sessions()) {
            throw new ServiceException(ErrorCode.TOO_MANY_REQUESTS,
                    "there are " + sessions.size() + " sessions, allowed are " + resources.limits().sessions());
        }
    }

    private Session serve(LiveSession live) {
        var session = new Session(resources, live.id(), live);
        sessions.put(live.id(), session);
        if (resources.admission().isClosed()) { // since the first look
            live.drain();
            live.shutDown().join();
            resources.admission().requireOpen();
        }
        return session;
    }

    /// @throws ServiceException NOT_FOUND
    public Session find(String id) {
        var session = sessions.get(id);
        if (session == null) {
            throw new ServiceException(ErrorCode.NOT_FOUND, "no session " + id);
        }
        return session;
    }

    /// @param pageToken empty for the first page
    public Page list(int pageSize, String pageToken) {
        var page = new ArrayList<Session.Status>();
        for (var session : sessions.tailMap(pageToken, false).values()) {
            if (page.size() == pageSize) {
                return new Page(List.copyOf(page), page.getLast().id());
            }
            page.add(session.status());
        }
        return new Page(List.copyOf(page), "");
    }

    /// Waits for the running step, frees memory, removes snapshots.
    public void delete(String id) {
        var session = find(id);
        try {
            switch (session.life()) {
                case LiveSession live -> live.delete().join();
                case LostSession lost -> {
                    resources.store().deleteSession(id);
                    resources.journals().delete(id);
                }
                case ElsewhereSession elsewhere -> throw Standing.taken(id, elsewhere.owner());
            }
        } catch (CompletionException e) {
            throw e.getCause() instanceof ServiceException known ? known : e;
        }
        sessions.remove(id);
        resources.events().deleted(id);
    }

    public Sleep sleep() {
        return resources.tiers().tally();
    }

    public int count() {
        return sessions.size();
    }

    /// Takes no more steps, uploads and sessions; those under way go on.
    public void drain() {
        resources.admission().close();
    }

    public boolean isDraining() {
        return resources.admission().isClosed();
    }

    /// How many streams of events are read.
    public int eventStreams() {
        return resources.events().openStreams();
    }

    /// Ends streams of events: nothing more will happen here.
    public void endEvents() {
        resources.events().end();
    }

    /// Once draining: whether every body under way has come to its end in time.
    public boolean awaitDrained(Duration limit) throws InterruptedException {
        return resources.admission().awaitLast(limit);
    }

    /// Refuses further work, finishes running steps, snapshots every durable session, frees everything.
    @Override
    public void close() {
        drain();
        custody.close();
        endEvents();
        var live = new ArrayList<LiveSession>();
        for (var session : sessions.values()) {
            if (session.life() instanceof LiveSession one) {
                live.add(one);
            }
        }
        live.forEach(LiveSession::drain);
        CompletableFuture.allOf(live.stream().map(LiveSession::shutDown).toArray(CompletableFuture[]::new)).join();
        sessions.clear();
        resources.lanes().close();
    }
}
