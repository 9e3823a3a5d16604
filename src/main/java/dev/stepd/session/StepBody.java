package dev.stepd.session;

import dev.stepd.error.ServiceException;
import dev.stepd.tensor.Fingerprint;
import dev.stepd.tensor.Part;
import dev.stepd.tensor.SafetensorsHeader;
import dev.stepd.tensor.SafetensorsReceiver;
import java.nio.ByteBuffer;
import java.util.BitSet;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/// A step's gradients and other inputs on their way in: each goes straight to its place in the flat memory.
final class StepBody implements Incoming<StepAnswer>, SafetensorsReceiver.Destinations {
    static final Expected.Match NONE =
            new Expected.Match(new SafetensorsHeader(List.of(), java.util.Map.of()), List.of(), new BitSet(), new BitSet(), 0, "");

    private final Steps steps;
    private final StepOrder order;
    private final Lease buffer;
    private final SafetensorsReceiver receiver;
    private final AtomicBoolean ended = new AtomicBoolean();
    private final long startNanos = System.nanoTime();
    private boolean handedOn;
    private long receiveNanos;
    private Expected.Match match = NONE;
    private BitSet given = new BitSet();
    private @Nullable Ahead ahead;

    StepBody(Steps steps, StepOrder order, Lease buffer) {
        this.steps = steps;
        this.order = order;
        this.buffer = buffer;
        this.receiver = new SafetensorsReceiver(steps.headers(), order.contentLength(), this);
    }

    StepOrder order() {
        return order;
    }

    Lease buffer() {
        return buffer;
    }

    Expected.Match match() {
        return match;
    }

    /// The extra inputs that came.
    BitSet given() {
        return given;
    }

    long receiveNanos() {
        return receiveNanos;
    }

    @Override
    public List<Part> choose(SafetensorsHeader header) {
        match = steps.gradients().match(header);
        if (!order.partial()) {
            steps.gradients().requireAll(match, "; send every tensor's, or ask for partial=true");
        }
        given = steps.inputs().given(match);
        var awake = steps.session().residence().forBody();
        ahead = steps.session().isSmall() || awake == null ? null : new Ahead(awake, buffer.memory(), match);
        return steps.gradients().destinations(match, buffer.memory());
    }

    @Override
    public void write(ByteBuffer chunk) {
        receiver.write(chunk);
        if (ahead != null) {
            ahead.received(receiver.dataReceived());
        }
    }

    @Override
    public CompletionStage<StepAnswer> finish() {
        Fingerprint fingerprint;
        try {
            fingerprint = receiver.finish();
        } catch (ServiceException e) {
            return CompletableFuture.failedFuture(e);
        }
        handedOn = true;
        long finished = System.nanoTime();
        receiveNanos = finished - startNanos;
        var future = new CompletableFuture<StepAnswer>();
        steps.session().onStrandOrHere(() -> takeStep(fingerprint, finished, future));
        return future;
    }

    @Override
    public void close() {
        if (!handedOn) {
            end();
        }
    }

    private void takeStep(Fingerprint fingerprint, long finished, CompletableFuture<StepAnswer> future) {
        StepAnswer answer;
        try {
            answer = steps.take(this, fingerprint, System.nanoTime() - finished);
        } catch (Throwable e) {
            try {
                end();
            } finally {
                future.completeExceptionally(steps.session().told(e));
            }
            return;
        }
        try {
            end();
        } finally {
            answer(answer, future);
        }
        if (!answer.replayed()) {
            steps.session().snapshots().afterStep();
        }
    }

    /// Answers when the step cannot be lost any more, if the session promises that.
    private void answer(StepAnswer answer, CompletableFuture<StepAnswer> future) {
        var journal = steps.session().journal();
        if (!journal.isActive()) {
            future.complete(answer);
            return;
        }
        journal.durable().whenComplete((nothing, failure) -> {
            if (failure == null) {
                future.complete(answer.durableAt(Math.max(answer.step(), journal.durableStep())));
            } else {
                answer.close();
                future.completeExceptionally(Stages.unwrapped(failure));
            }
        });
    }

    private void end() {
        if (ended.compareAndSet(false, true)) {
            if (ahead != null) {
                ahead.end();
            }
            try {
                buffer.release();
            } finally {
                steps.ended();
            }
        }
    }
}
