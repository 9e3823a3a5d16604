package dev.stepd.session;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.tensor.HeaderReader;
import dev.stepd.tensor.Part;
import dev.stepd.tensor.SafetensorsHeader;
import dev.stepd.tensor.SafetensorsReceiver;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.atomic.AtomicBoolean;

/// Parameters or state on their way in: received whole beside what the session has, then taken over on the strand.
final class Upload implements Incoming<Session.Status>, SafetensorsReceiver.Destinations {
    /// What an upload is for.
    interface Effect {
        /// Refuses a header, before any data.
        void check(SafetensorsHeader header, Expected.Match match);

        /// Takes the data over, on the strand; throws with nothing changed.
        CompletionStage<Session.Status> apply(Expected.Match match, MemorySegment received);
    }

    private static final int LENGTH_BYTES = 8;

    private final LiveSession session;
    private final Expected expected;
    private final Effect effect;
    private final Lease received;
    private final SafetensorsReceiver receiver;
    private final AtomicBoolean ended = new AtomicBoolean();
    private boolean handedOn;
    private Expected.Match match = StepBody.NONE;

    /// Admits an upload.
    static Upload begin(LiveSession session, Expected expected, Effect effect, long contentLength) {
        session.requireReady();
        var resources = session.resources();
        long limit = LENGTH_BYTES + resources.limits().headerBytes() + expected.byteCount();
        if (contentLength != SafetensorsReceiver.UNKNOWN_LENGTH && contentLength > limit) {
            throw new ServiceException(ErrorCode.BODY_TOO_LARGE, "the body has " + contentLength
                    + " bytes, this upload has at most " + limit);
        }
        resources.admission().admit(expected.byteCount());
        try {
            var memory = resources.spare(expected.byteCount(), "an upload to session " + session.id());
            return new Upload(session, expected, effect, memory, contentLength);
        } catch (RuntimeException e) {
            resources.admission().leave(expected.byteCount());
            throw e;
        }
    }

    private Upload(LiveSession session, Expected expected, Effect effect, Lease received, long contentLength) {
        this.session = session;
        this.expected = expected;
        this.effect = effect;
        this.received = received;
        var headers = new HeaderReader(session.resources().limits().headerBytes());
        this.receiver = new SafetensorsReceiver(headers, contentLength, this);
    }

    @Override
    public List<Part> choose(SafetensorsHeader header) {
        match = expected.match(header);
        effect.check(header, match);
        return expected.destinations(match, received.memory());
    }

    @Override
    public void write(ByteBuffer chunk) {
        receiver.write(chunk);
    }

    @Override
    public CompletionStage<Session.Status> finish() {
        try {
            receiver.finish();
        } catch (ServiceException e) {
            return CompletableFuture.failedFuture(e);
        }
        handedOn = true;
        var applied = session.askStage(() -> effect.apply(match, received.memory()));
        return Stages.plain(applied.whenComplete((status, failure) -> end()));
    }

    @Override
    public void close() {
        if (!handedOn) {
            end();
        }
    }

    private void end() {
        if (ended.compareAndSet(false, true)) {
            try {
                received.release();
            } finally {
                session.resources().admission().leave(expected.byteCount());
            }
        }
    }
}
