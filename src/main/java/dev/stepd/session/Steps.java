package dev.stepd.session;

import dev.stepd.engine.Stepper;
import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.session.StepOrder.Return;
import dev.stepd.store.journal.Entry;
import dev.stepd.store.journal.Journal;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.Fingerprint;
import dev.stepd.tensor.HeaderReader;
import dev.stepd.tensor.SafetensorsMessage;
import dev.stepd.tensor.SafetensorsReceiver;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/// Takes the steps of one session, each exactly once.
///
/// The memory a gradient arrived in holds the delta afterwards and stays until the next step is taken: that is the
/// answer to a client that lost the first one.
final class Steps {
    private static final int LENGTH_BYTES = 8;
    private static final BitSet NO_INPUTS = new BitSet();
    private static final SafetensorsMessage NOTHING = SafetensorsMessage.of(List.of(), Map.of());

    /// The step taken last.
    private record LastStep(
            long number, Fingerprint body, StepMetrics metrics, Expected.Match match, Lease deltas) {}

    private final LiveSession session;
    private final Expected gradients;
    private final ExtraInputs inputs;
    private final HeaderReader headers;
    private final Replies replies;
    private final Expected parameters;
    private final ByteBuffer parametersHeader;
    private final AtomicInteger underWay = new AtomicInteger();
    private final AtomicReference<@Nullable LastStep> last = new AtomicReference<>();

    Steps(LiveSession session) {
        this.session = session;
        var places = new ArrayList<Expected.Place>();
        for (var place : session.stepper().layout().places()) {
            var tensor = place.tensor();
            places.add(new Expected.Place(
                    tensor.name(), DType.F32, tensor.shape(), place.index(), place.offset() * Float.BYTES));
        }
        var optimizer = (String) session.blueprint().composition().optimizer().get("name");
        inputs = new ExtraInputs(optimizer, session.stepper().body(), session.tensorNames());
        gradients = new Expected("gradient", places, true, inputs.places(), inputs.names());
        headers = new HeaderReader(session.resources().limits().headerBytes());
        replies = new Replies(session.stepper().layout().places(), gradients);
        parameters = Expected.like("parameter", session.stepper().parameters());
        parametersHeader = parameters.header().framed();
    }

    /// Whether a body is on its way; from any thread.
    boolean isExpecting() {
        return underWay.get() > 0;
    }

    /// Moves the last answer out of the memory of bodies; on the strand.
    ///
    /// @param inFile whether main memory must not be used
    /// @throws ServiceException `UNAVAILABLE` when there is no room, and it stays
    void moveAnswer(boolean inFile) {
        var before = last.get();
        if (before == null || !before.deltas().tryRetain()) {
            return;
        }
        try {
            var memory = before.deltas().memory();
            var purpose = "the last answer of session " + session.id();
            var resources = session.resources();
            var moved = inFile ? resources.putInFile(memory.byteSize(), purpose, sink -> sink.accept(memory))
                    : resources.putAside(memory.byteSize(), purpose, sink -> sink.accept(memory));
            var after = new LastStep(before.number(), before.body(), before.metrics(), before.match(), moved);
            release(last.compareAndSet(before, after) ? before : after);
        } finally {
            before.deltas().release();
        }
    }

    /// Admits a body. What can be refused without it is refused here.
    Incoming<StepAnswer> receive(StepOrder order) {
        session.requireReady();
        checkLength(order.contentLength());
        checkNumber(order);
        checkParameters(order.returned());
        long bytes = session.buffers().bytes();
        var admission = session.resources().admission();
        admission.admit(bytes);
        try {
            var body = new StepBody(this, order, buffer(order));
            underWay.incrementAndGet();
            return body;
        } catch (RuntimeException e) {
            admission.leave(bytes);
            throw e;
        }
    }

    Expected gradients() {
        return gradients;
    }

    ExtraInputs inputs() {
        return inputs;
    }

    HeaderReader headers() {
        return headers;
    }

    LiveSession session() {
        return session;
    }

    /// A body is no longer under way, whatever came of it.
    void ended() {
        underWay.decrementAndGet();
        session.resources().admission().leave(session.buffers().bytes());
    }

    /// Decides on a complete body and does it; on the strand.
    StepAnswer take(StepBody body, Fingerprint fingerprint, long queueNanos) {
        session.requireReady();
        var order = body.order();
        var before = last.get();
        session.used();
        long current = session.step();
        boolean answered = before != null && before.number() == current && before.deltas().tryRetain();
        try {
            boolean same = answered && before.body().equals(fingerprint);
            return switch (StepDecision.of(order.number(), current, answered, same)) {
                case APPLY -> apply(body, fingerprint, queueNanos);
                case REPLAY ->
                    answer(before, order.returned(), new StepAnswer.Timings(body.receiveNanos(), queueNanos, 0, 0), true);
                case BODY_DIFFERS -> throw new ServiceException(ErrorCode.STEP_BODY_DIFFERS,
                        "step " + current + " was taken already, from another body");
                case MISMATCH -> throw mismatch(order.number().orElseThrow(), current);
            };
        } finally {
            if (answered) {
                before.deltas().release();
            }
        }
    }

    /// Gives up the last answer: after it is gone, its step cannot be replayed.
    void forget() {
        release(last.getAndSet(null));
    }

    /// Writes the last answer down where what it was made from will be gone; on the strand.
    void keepAnswer(Journal journal) {
        var answered = last.get();
        if (answered == null || answered.number() != session.step() || !answered.deltas().tryRetain()) {
            return;
        }
        try {
            var present = answered.match().present();
            var entry = new Entry(Entry.Kind.ANSWER, answered.number(), answered.body(), present, NO_INPUTS,
                    answered.metrics().lr(), answered.metrics().gradNorm());
            journal.append(entry, Stretches.of(session.body(), present, NO_INPUTS, answered.deltas().memory()));
        } finally {
            answered.deltas().release();
        }
    }

    /// Takes over the last answer of a session that is being brought back.
    ///
    /// @param deltas as the stepper left them, or the record kept them; the session's from now on
    void recovered(Entry entry, Lease deltas) {
        boolean made = entry.kind() == Entry.Kind.STEP;
        if (made) {
            replies.narrow(deltas.memory(), entry.present());
        }
        int missing = gradients.places().size() - entry.present().cardinality();
        var match = new Expected.Match(StepBody.NONE.header(), List.of(), entry.present(), NO_INPUTS, missing, "");
        var stepper = session.stepper();
        release(last.getAndSet(new LastStep(entry.step(), entry.body(),
                made ? StepMetrics.of(stepper) : StepMetrics.kept(entry.lr(), entry.gradNorm()), match, deltas)));
    }

    private StepAnswer apply(StepBody body, Fingerprint fingerprint, long queueNanos) {
        var order = body.order();
        checkParameters(order.returned());
        session.stepper(); // if it sleeps, it wakes, or cannot, before anything is done
        // taken before the step: when there is no memory for the answer, nothing must have changed
        var copy = order.returned() == Return.PARAMETERS ? buffer(order) : null;
        long start = System.nanoTime();
        try {
            step(body, fingerprint);
        } catch (RuntimeException e) {
            if (copy != null) {
                copy.release();
            }
            throw e;
        }
        replies.narrow(body.buffer().memory(), body.match().present());
        long computed = System.nanoTime() - start;
        var timings = new StepAnswer.Timings(body.receiveNanos(), queueNanos, session.residence().takeWakeNanos(), computed);
        var stepper = session.stepper();
        var taken = new LastStep(stepper.step(), fingerprint, StepMetrics.of(stepper), body.match(), body.buffer().retain());
        release(last.getAndSet(taken));
        session.changed();
        session.history().step(taken.number(), taken.metrics(), timings);
        return copy == null
                ? answer(taken, order.returned(), timings, false)
                : parameters(taken, copy, timings, false);
    }

    /// Writes down what the step is made from before that is overwritten.
    private void step(StepBody body, Fingerprint fingerprint) {
        var journal = session.journal();
        journal.append(fingerprint, body.match().present(), body.given(), body.buffer().memory());
        try {
            step(body);
        } catch (RuntimeException | Error e) {
            journal.withdraw();
            throw e;
        }
        journal.taken();
    }

    private void step(StepBody body) {
        Stepper.Outcome outcome;
        try {
            outcome = stepped(body);
        } catch (ServiceException e) {
            throw full(e);
        } catch (RuntimeException | Error e) {
            session.fail("step " + (session.step() + 1) + " broke off", e);
            throw e;
        }
        if (outcome == Stepper.Outcome.REJECTED) {
            var key = session.stepper().nonFiniteKey();
            throw new ServiceException(ErrorCode.NON_FINITE, (key.contains("#") ? "input " : "gradient ") + key
                    + " holds NaN or infinity and the session's non_finite is reject; step " + (session.step() + 1)
                    + " was not taken");
        }
    }

    /// A step may need memory for a while; without, it changes nothing.
    private Stepper.Outcome stepped(StepBody body) {
        while (true) {
            try {
                return session.stepper().step(body.buffer().memory(), body.match().present(), body.given());
            } catch (ServiceException e) {
                if (session.isSmall() || !session.resources().tiers().makeRoom(e, session)) {
                    throw e;
                }
            }
        }
    }

    private StepAnswer answer(LastStep step, Return returned, StepAnswer.Timings timings, boolean replayed) {
        return switch (returned) {
            case DELTA -> answer(step, timings, replayed, deltas(step), step.deltas().retain().releaseOnce());
            case NONE -> answer(step, timings, replayed, NOTHING, () -> {});
            case PARAMETERS -> {
                checkParameters(returned);
                yield parameters(step, spareBuffer(), timings, replayed);
            }
        };
    }

    /// @param copy released if this fails
    private StepAnswer parameters(LastStep step, Lease copy, StepAnswer.Timings timings, boolean replayed) {
        try {
            return answer(step, timings, replayed, parametersInto(copy.memory()), copy.releaseOnce());
        } catch (RuntimeException e) {
            copy.release();
            throw e;
        }
    }

    private StepAnswer answer(
            LastStep step, StepAnswer.Timings timings, boolean replayed, SafetensorsMessage message, Runnable release) {
        long durableStep = session.snapshots().durableStep();
        return new StepAnswer(
                step.number(), step.metrics(), durableStep, replayed, timings, message, release);
    }

    /// Copies the parameters, on the strand, into memory of a buffer's size.
    SafetensorsMessage parametersInto(MemorySegment copy) {
        session.stepper().readParameters(copy);
        return new SafetensorsMessage(parametersHeader, List.of(copy.asSlice(0, parameters.byteCount())));
    }

    /// Writes an average of the parameters, on the strand, into memory of a buffer's size.
    SafetensorsMessage averageInto(String name, MemorySegment copy) {
        session.stepper().average(name, copy);
        var everything = new BitSet();
        everything.set(0, gradients.places().size());
        replies.narrow(copy, everything);
        return replies.whole(copy);
    }

    private SafetensorsMessage deltas(LastStep step) {
        if (step.match().missing() == 0) {
            return replies.whole(step.deltas().memory());
        }
        return replies.some(step.deltas().memory(), step.match().present());
    }

    /// Memory for a body. When there is none, the last answer makes room if this body shows that it arrived.
    private Lease buffer(StepOrder order) {
        try {
            return session.buffers().take();
        } catch (ServiceException e) {
            var before = last.get();
            boolean arrived = before != null
                    && (order.number().isEmpty() || order.number().getAsLong() == before.number() + 1);
            if (arrived && last.compareAndSet(before, null)) {
                release(before);
                return spareBuffer();
            }
            throw full(e);
        }
    }

    /// A buffer for something that leaves the last answer where it is.
    Lease spareBuffer() {
        try {
            return session.buffers().take();
        } catch (ServiceException e) {
            throw full(e);
        }
    }

    /// May be on a thread that must not wait for others to leave: who tries again finds room then.
    private ServiceException full(ServiceException e) {
        if (e.code() == ErrorCode.OUT_OF_MEMORY) {
            session.resources().tiers().ask(e);
        }
        return Resources.forNow(e);
    }

    private void checkLength(long contentLength) {
        long limit = LENGTH_BYTES + headers.limitBytes() + gradients.byteCountWithExtras();
        if (contentLength != SafetensorsReceiver.UNKNOWN_LENGTH && contentLength > limit) {
            throw new ServiceException(ErrorCode.BODY_TOO_LARGE, "the body has " + contentLength
                    + " bytes, a step of this session has at most " + limit);
        }
    }

    /// Refuses a number that no body under way can make right.
    private void checkNumber(StepOrder order) {
        if (order.number().isEmpty()) {
            return;
        }
        long number = order.number().getAsLong();
        int before = underWay.get();
        long current = session.step();
        var taken = last.get();
        boolean replayable = taken != null && number == taken.number();
        boolean next = number > current && number <= current + 1 + before;
        boolean racing = before > 0 && number == current;
        if (!replayable && !next && !racing) {
            throw mismatch(number, current);
        }
    }

    private void checkParameters(Return returned) {
        if (session.hasParameters()) {
            return;
        }
        if (session.needsParameters() || returned == Return.PARAMETERS) {
            throw new ServiceException(ErrorCode.PARAMETERS_MISSING, "session " + session.id()
                    + (returned == Return.PARAMETERS ? " cannot return parameters: none were uploaded"
                            : " has an optimizer that reads parameter values: upload them before the first step"));
        }
    }

    private ServiceException mismatch(long number, long current) {
        long durable = session.snapshots().durableStep();
        return new ServiceException(ErrorCode.STEP_MISMATCH, "step " + number + " was asked for, the session is at step "
                + current + " and takes " + (current + 1) + " next",
                Map.of("current_step", current, "durable_step", durable));
    }

    private static void release(@Nullable LastStep step) {
        if (step != null) {
            step.deltas().release();
        }
    }
}
