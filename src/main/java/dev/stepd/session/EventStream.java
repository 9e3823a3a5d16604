package dev.stepd.session;

import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;

/// Reads a session's events, one after the other. For one thread, but for [#close]; nothing waits for it.
public final class EventStream implements AutoCloseable {
    static final char SEPARATOR = '.';

    private final History history;
    private final Runnable ready;
    private final Runnable closed;
    private final AtomicBoolean waiting = new AtomicBoolean();
    private final AtomicBoolean open = new AtomicBoolean(true);
    private long position;
    private boolean lostCount;
    private boolean ended;

    /// @param position of the first event to read
    /// @param lostCount whether events went by before that nobody can count
    /// @param ready called from any thread when there is something to read after there was nothing
    /// @param closed called once
    EventStream(History history, long position, boolean lostCount, Runnable ready, Runnable closed) {
        this.history = history;
        this.position = position;
        this.lostCount = lostCount;
        this.ready = ready;
        this.closed = closed;
    }

    /// The next event. Nothing if there is none yet, or none comes any more; in the first case `ready` will be called.
    public Optional<Event> next() {
        return Optional.ofNullable(history.read(this));
    }

    /// Whether no further event comes, once [#next] had none.
    public boolean hasEnded() {
        return ended;
    }

    long position() {
        return position;
    }

    boolean lostCount() {
        return lostCount;
    }

    void moveTo(long next) {
        position = next;
        lostCount = false;
    }

    void waits(boolean inVain) {
        ended = inVain;
        waiting.set(!inVain);
    }

    void wake() {
        if (waiting.compareAndSet(true, false)) {
            ready.run();
        }
    }

    @Override
    public void close() {
        if (open.compareAndSet(true, false)) {
            waiting.set(false);
            history.remove(this);
            closed.run();
        }
    }
}
