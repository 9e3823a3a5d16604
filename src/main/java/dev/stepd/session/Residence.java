package dev.stepd.session;

import dev.stepd.device.HostArray;
import dev.stepd.engine.Stepper;
import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// Where the state of one session is: in a stepper on its device, or, while nobody steps it and others need the room, asleep as an
/// image in main memory or in a file. Waking puts the same bits back.
///
/// Changes on the session's strand only; what says so may be asked from any thread.
final class Residence {
    private static final Logger LOG = LoggerFactory.getLogger(Residence.class);

    private final LiveSession session;
    private volatile @Nullable Stepper stepper;
    private volatile @Nullable Image image;
    private volatile String device;
    private volatile boolean leaving;
    private Map<String, String> formats = Map.of();
    private long wakeNanos;

    Residence(LiveSession session, Stepper stepper) {
        this.session = session;
        this.stepper = stepper;
        this.device = stepper.deviceName();
    }

    /// From any thread.
    Tier tier() {
        var asleep = image;
        return asleep == null ? Tier.DEVICE : asleep.memory().memory().isMapped() ? Tier.DISK : Tier.MEMORY;
    }

    /// The device the state is on, or was on before it fell asleep; from any thread.
    String device() {
        return device;
    }

    /// Why the state is lost with its device, or null; from any thread.
    @Nullable String reasonLost() {
        var awake = stepper;
        return awake == null ? null : awake.reasonLost();
    }

    /// The stepper for a body that is under way, so that its device may fetch it; none if the session sleeps or is about to. From any
    /// thread.
    @Nullable Stepper forBody() {
        return leaving ? null : stepper;
    }

    /// What sleeps; none when awake.
    @Nullable Image asleep() {
        return image;
    }

    /// What slots are kept in that are not in f32; see [Stepper#formats].
    Map<String, String> formats() {
        var awake = stepper;
        return awake == null ? formats : awake.formats();
    }

    /// The stepper, woken if need be.
    ///
    /// @throws ServiceException `UNAVAILABLE` when there is no room for it now, `DEVICE_UNAVAILABLE`; it sleeps on then
    Stepper awake() {
        var awake = stepper;
        return awake != null ? awake : wake();
    }

    /// Nanoseconds that the last waking took, told once.
    long takeWakeNanos() {
        long nanos = wakeNanos;
        wakeNanos = 0;
        return nanos;
    }

    /// Puts the session to sleep, in main memory if that is not what it leaves and there is room, else in a file.
    ///
    /// @return false when it stays: a step's body is on its way, or there is room nowhere
    boolean leave() {
        var awake = stepper;
        leaving = true; // before the look: a body that comes later finds it
        try {
            if (awake == null || awake.reasonLost() != null || session.steps().isExpecting()) {
                return false;
            }
            boolean inMainMemory = awake.slots().stream().anyMatch(part -> part.array() instanceof HostArray)
                    || awake.parameters().stream().anyMatch(part -> part.array() instanceof HostArray);
            var purpose = "the sleep of session " + session.id();
            session.steps().moveAnswer(inMainMemory);
            image = Image.of(session.resources(), session.tensorNames(), awake, purpose, inMainMemory);
            formats = awake.formats();
            stepper = null;
            awake.close();
            session.buffers().shrink();
            session.history().evicted(tier().text(), session.step());
            LOG.debug("session {} sleeps, {}", session.id(), tier());
            return true;
        } catch (ServiceException e) {
            LOG.warn("session {} cannot leave {}: {}", session.id(), device, e.getMessage());
            return false;
        } finally {
            leaving = false;
        }
    }

    /// Moves what sleeps in main memory to a file.
    ///
    /// @return false when nothing does, or there is no room
    boolean sink() {
        var asleep = image;
        if (asleep == null || tier() != Tier.MEMORY) {
            return false;
        }
        try {
            session.steps().moveAnswer(true);
            image = asleep.inFile(session.resources(), "the sleep of session " + session.id());
            asleep.release();
            session.history().evicted(tier().text(), session.step());
            return true;
        } catch (ServiceException e) {
            LOG.warn("session {} cannot leave main memory: {}", session.id(), e.getMessage());
            return false;
        }
    }

    private Stepper wake() {
        long start = System.nanoTime();
        var from = tier();
        var asleep = Objects.requireNonNull(image, "a session that ended");
        var next = create();
        try {
            asleep.putInto(next);
        } catch (RuntimeException | Error e) {
            next.close();
            throw e;
        }
        stepper = next;
        device = next.deviceName();
        image = null;
        asleep.release();
        wakeNanos = System.nanoTime() - start;
        session.resources().tiers().woken();
        session.history().woken(from.text(), session.step(), wakeNanos);
        LOG.debug("session {} woke on {} in {} ns", session.id(), device, wakeNanos);
        return next;
    }

    /// On the device it was on, or, with that lost, where it may be else.
    private Stepper create() {
        try {
            return createOn(device);
        } catch (ServiceException e) {
            if (e.code() != ErrorCode.DEVICE_UNAVAILABLE) {
                throw e;
            }
            return createOn(session.description().device());
        }
    }

    private Stepper createOn(String where) {
        var resources = session.resources();
        try {
            return resources.tiers().withRoom(session, () -> resources.engine().create(session.blueprint(), where));
        } catch (ServiceException e) {
            throw Resources.forNow(e);
        }
    }

    /// Frees whatever there is.
    void close() {
        var awake = stepper;
        var asleep = image;
        stepper = null;
        image = null;
        if (awake != null) {
            awake.close();
        }
        if (asleep != null) {
            asleep.release();
        }
    }
}
