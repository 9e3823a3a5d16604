package dev.stepd.session;

import java.nio.ByteBuffer;
import java.util.concurrent.CompletionStage;

/// A safetensors body on its way into a session. One thread at a time feeds it; [#close] is due in every case
/// and gives back whatever the body holds (memory, admission) unless [#finish] handed it on.
///
/// Every breach of the framing, of the session's tensors or of a bound throws from [#write] as soon as the bytes
/// that show it are here, with nothing changed.
///
/// @param <T> what comes of the body: a [StepAnswer], or the [Session.Status] after an upload
public interface Incoming<T> extends AutoCloseable {
    /// Consumes all remaining bytes of `chunk`.
    void write(ByteBuffer chunk);

    /// Declares the body complete and queues its effect. The stage fails with a
    /// [dev.stepd.error.ServiceException]. Called at most once.
    CompletionStage<T> finish();

    @Override
    void close();
}
