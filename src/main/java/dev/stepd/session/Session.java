package dev.stepd.session;

import dev.stepd.tensor.SafetensorsMessage;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletionStage;

/// One model being trained: a stepper, its exactly-once step numbers, its snapshots. Safe for concurrent use; whatever
/// changes state runs on the session's strand, one at a time.
public final class Session {
    /// The session as clients see it. `description` is the JSON object with everything resolved
    /// (`name`, `optimizer`, `tensors`, `groups`, `schedule`, `clip`, `state`, `non_finite`, `durability`,
    /// `snapshot_every`, `device`).
    public record Status(
            String id,
            Map<String, Object> description,
            long step,
            long durableStep,
            long stateBytes,
            boolean hasParameters,
            String device,
            String status,
            Instant created) {}

    /// A stored snapshot as clients see it.
    public record SnapshotInfo(String id, long step, long bytes, String digest, Instant created) {}

    /// A step and the digest of everything a session keeps at it.
    public record Digest(long step, String digest) {}

    /// Bytes to send, leased until [#close]; `metadata` is already in the message's header.
    public record Download(long step, SafetensorsMessage message, Runnable release) implements AutoCloseable {
        @Override
        public void close() {
            release.run();
        }
    }

    public String id() {
        throw new IllegalStateException("to be built");
    }

    public Status status() {
        throw new IllegalStateException("to be built");
    }

    /// Admits a step's body: checks the step number as far as it can be known now, reserves memory.
    /// A replay is answered only after its body arrived and proved the same.
    ///
    /// @throws dev.stepd.error.ServiceException STEP_MISMATCH, PARAMETERS_MISSING, BODY_TOO_LARGE, TOO_MANY_REQUESTS, UNAVAILABLE
    public Incoming<StepAnswer> receiveStep(StepOrder order) {
        throw new IllegalStateException("to be built");
    }

    /// Admits parameter values: every tensor, in its declared shape, finite, in its declared dtype.
    public Incoming<Status> receiveParameters(long contentLength) {
        throw new IllegalStateException("to be built");
    }

    /// Admits slots (`<tensor>#<slot>`), all of them, or before the first step some; `__metadata__.step` sets the step.
    public Incoming<Status> receiveState(long contentLength) {
        throw new IllegalStateException("to be built");
    }

    /// A consistent copy of the parameters.
    public CompletionStage<Download> parameters() {
        throw new IllegalStateException("to be built");
    }

    /// A consistent copy of every slot.
    public CompletionStage<Download> state() {
        throw new IllegalStateException("to be built");
    }

    public CompletionStage<Digest> digest() {
        throw new IllegalStateException("to be built");
    }

    /// Replaces the named fields (`optimizer` hyperparameters, `groups`, `schedule`, `clip`, `name`, `non_finite`,
    /// `snapshot_every`) from the next step on.
    public CompletionStage<Status> patch(Map<String, Object> changes) {
        throw new IllegalStateException("to be built");
    }

    /// Takes a snapshot of the present state; completes when it is durable.
    public CompletionStage<SnapshotInfo> snapshot() {
        throw new IllegalStateException("to be built");
    }

    public List<SnapshotInfo> snapshots() {
        throw new IllegalStateException("to be built");
    }

    /// A stored snapshot as safetensors: parameters (`w`) and slots (`w#exp_avg`).
    public CompletionStage<Download> snapshotData(String snapshotId) {
        throw new IllegalStateException("to be built");
    }

    public void deleteSnapshot(String snapshotId) {
        throw new IllegalStateException("to be built");
    }

    /// Loads a snapshot, proves its digest, and continues at its step.
    public CompletionStage<Digest> restore(String snapshotId) {
        throw new IllegalStateException("to be built");
    }
}
