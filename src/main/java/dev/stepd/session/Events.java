package dev.stepd.session;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.atomic.AtomicInteger;

/// What happened lately to each session of this server. Its histories begin with the server: who comes back with an event's name
/// from before is told that there may be more that he missed.
final class Events {
    /// What stands for the beginning where a client names the last event that it saw.
    private static final String BEGINNING = "0";

    private final String epoch = Identifier.next();
    private final ConcurrentMap<String, History> histories = new ConcurrentHashMap<>();
    private final AtomicInteger open = new AtomicInteger();
    private final int streamsMax;

    /// @param streamsMax how many may be read at a time, of all sessions together
    Events(int streamsMax) {
        this.streamsMax = streamsMax;
    }

    /// The history of a session, whether anything is in it or not.
    History of(String id) {
        return histories.computeIfAbsent(id, _ -> new History(epoch));
    }

    /// Reads a session's events: those from now on, or those after the one that a client saw last.
    ///
    /// @throws ServiceException `NOT_FOUND` when the session is gone, `TOO_MANY_REQUESTS`, `INVALID_REQUEST`
    EventStream open(String id, Optional<String> last, Runnable ready) {
        var history = histories.get(id);
        if (history == null) {
            throw new ServiceException(ErrorCode.NOT_FOUND, "no session " + id);
        }
        var stream = stream(history, last, ready);
        if (open.incrementAndGet() > streamsMax) {
            open.decrementAndGet();
            throw new ServiceException(ErrorCode.TOO_MANY_REQUESTS,
                    "there are " + streamsMax + " streams of events, which is as many as allowed");
        }
        history.add(stream);
        return stream;
    }

    private EventStream stream(History history, Optional<String> last, Runnable ready) {
        long next = history.next();
        if (last.isEmpty()) {
            return new EventStream(history, next, false, ready, open::decrementAndGet);
        }
        var seen = last.get();
        int cut = seen.lastIndexOf(EventStream.SEPARATOR);
        if (seen.equals(BEGINNING) || cut > 0 && !seen.substring(0, cut).equals(epoch)) {
            return new EventStream(history, 1, !seen.equals(BEGINNING), ready, open::decrementAndGet);
        }
        return new EventStream(history, position(seen, cut, next), false, ready, open::decrementAndGet);
    }

    private static long position(String seen, int cut, long next) {
        try {
            long position = cut < 0 ? -1 : Long.parseLong(seen, cut + 1, seen.length(), 10);
            if (position >= 0 && position < next) {
                return position + 1;
            }
        } catch (NumberFormatException e) {
            // refused below, like a number that is none of ours
        }
        throw new ServiceException(ErrorCode.INVALID_REQUEST,
                "the last event's id is " + seen + ", expected one that this stream told, or " + BEGINNING + " for all that is kept");
    }

    /// How many are read now.
    int openStreams() {
        return open.get();
    }

    /// Ends a session's streams with the news that it is gone.
    void deleted(String id) {
        var history = histories.remove(id);
        if (history != null) {
            history.deleted();
        }
    }

    /// Forgets a session that never came to serve.
    void forget(String id) {
        histories.remove(id);
    }

    /// Ends all streams when they have told what there is.
    void end() {
        histories.values().forEach(History::end);
    }
}
