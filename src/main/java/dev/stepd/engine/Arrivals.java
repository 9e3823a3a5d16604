package dev.stepd.engine;

import dev.stepd.device.Body;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/// Which of a session's bodies its device holds: the one being stepped, else the first that is on its way, so that the device fetches
/// what is there while the rest arrives. Safe for concurrent use: bodies arrive on other threads than steps are taken on.
final class Arrivals implements AutoCloseable {
    private final Body body;
    private @Nullable MemorySegment ahead;
    /// A step is under way, or the session is closed.
    private boolean busy;

    Arrivals(Body body) {
        this.body = body;
    }

    /// Tells that what lies before `end` of a body has arrived. Forgotten if another one is held.
    synchronized void arrived(MemorySegment host, long end) {
        if (busy) {
            return;
        }
        if (ahead == null) {
            body.hold(host);
            ahead = host;
        }
        if (ahead == host) {
            body.arrived(end);
        }
    }

    /// Tells that nothing more of a body comes, or that its memory goes to another. Nothing reads it any more when this returns.
    synchronized void abandon(MemorySegment host) {
        if (ahead == host) {
            ahead = null;
            if (!busy) {
                body.hold(MemorySegment.NULL);
            }
        }
    }

    /// Makes the device hold the body of the step that begins.
    synchronized void begin(MemorySegment host) {
        if (ahead != host) {
            body.hold(host);
        }
        ahead = null;
        busy = true;
    }

    synchronized void end() {
        busy = false;
    }

    @Override
    public synchronized void close() {
        busy = true;
        body.close();
    }
}
