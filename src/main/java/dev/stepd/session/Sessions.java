package dev.stepd.session;

import dev.stepd.engine.Engine;
import dev.stepd.store.SnapshotStore;
import java.util.List;
import java.util.Map;

/// Every session of this server. Its one mutable field is the map of them.
public final class Sessions implements AutoCloseable {
    /// Bounds on what clients may ask for.
    ///
    /// @param headerBytes longest safetensors header
    /// @param bytesInFlight bodies being received or waiting for their step, all sessions together
    /// @param sessions how many may exist
    public record Limits(long headerBytes, long bytesInFlight, int sessions) {}

    /// A page of sessions and where the next one starts.
    public record Page(List<Session.Status> sessions, String nextPageToken) {}

    public Sessions(Engine engine, SnapshotStore store, Limits limits) {}

    /// Brings back every stored session at its durable step. Called once, before the first request.
    public void recover() {
        throw new IllegalStateException("to be built");
    }

    /// Creates a session from its description as JSON came.
    public Session create(Map<String, Object> description) {
        throw new IllegalStateException("to be built");
    }

    /// @throws dev.stepd.error.ServiceException NOT_FOUND
    public Session find(String id) {
        throw new IllegalStateException("to be built");
    }

    /// @param pageToken empty for the first page
    public Page list(int pageSize, String pageToken) {
        throw new IllegalStateException("to be built");
    }

    /// Waits for the running step, frees memory, removes snapshots.
    public void delete(String id) {
        throw new IllegalStateException("to be built");
    }

    public int count() {
        throw new IllegalStateException("to be built");
    }

    /// Refuses further work, finishes running steps, snapshots every durable session, frees everything.
    @Override
    public void close() {
        throw new IllegalStateException("to be built");
    }
}
