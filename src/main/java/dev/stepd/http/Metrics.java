package dev.stepd.http;

import dev.stepd.error.ErrorCode;
import dev.stepd.session.Sessions;
import dev.stepd.session.StepAnswer;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import jakarta.inject.Provider;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.EnumMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.ToDoubleFunction;

/// What `/prometheus` tells of the step path. Every meter is looked up once: counting a step is a few additions.
@Singleton
final class Metrics {
    private static final Duration[] BUCKETS = {
        Duration.ofNanos(100_000), Duration.ofNanos(250_000), Duration.ofNanos(500_000),
        Duration.ofMillis(1), Duration.ofMillis(2), Duration.ofMillis(5), Duration.ofMillis(10), Duration.ofMillis(25),
        Duration.ofMillis(50), Duration.ofMillis(100), Duration.ofMillis(250), Duration.ofMillis(500),
        Duration.ofSeconds(1), Duration.ofSeconds(5), Duration.ofSeconds(30)
    };

    private final Counter steps;
    private final Counter replays;
    private final Counter clipped;
    private final Counter nonFinite;
    private final Counter received;
    private final Counter sent;
    private final Timer total;
    private final Timer receive;
    private final Timer queue;
    private final Timer compute;
    private final Map<ErrorCode, Counter> problems = new EnumMap<>(ErrorCode.class);

    Metrics(MeterRegistry registry, Provider<Sessions> sessions) {
        steps = counter(registry, "stepd.steps", "steps applied");
        replays = counter(registry, "stepd.steps.replayed", "steps answered again without being applied");
        clipped = counter(registry, "stepd.clipped", "steps whose gradient clipping shortened");
        nonFinite = counter(registry, "stepd.nonfinite", "elements of gradients of steps taken that were NaN or infinite");
        received = counter(registry, "stepd.bytes.received", "bytes of tensor bodies received");
        sent = counter(registry, "stepd.bytes.sent", "bytes of tensor bodies sent");
        total = timer(registry, "stepd.step", "a step from its first byte to its answer").register(registry);
        receive = stage(registry, "receive");
        queue = stage(registry, "queue");
        compute = stage(registry, "compute");
        for (var code : ErrorCode.values()) {
            problems.put(code, Counter.builder("stepd.problems").description("requests refused")
                    .tag("type", code.slug()).register(registry));
        }
        moved(registry, sessions, "memory", Sessions.Sleep::toMemory);
        moved(registry, sessions, "disk", Sessions.Sleep::toDisk);
        FunctionCounter.builder("stepd.sessions.woken", sessions, all -> all.get().sleep().wakes())
                .description("sessions that woke for a step").register(registry);
        asleep(registry, sessions, "memory", Sessions.Sleep::inMemory);
        asleep(registry, sessions, "disk", Sessions.Sleep::onDisk);
        Gauge.builder("stepd.sessions", sessions, all -> all.get().count())
                .description("sessions there are").register(registry);
        Gauge.builder("stepd.event.streams", sessions, all -> all.get().eventStreams())
                .description("streams of events being read").register(registry);
    }

    void step(StepAnswer answer) {
        var timings = answer.timings();
        (answer.replayed() ? replays : steps).increment();
        if (!answer.replayed()) {
            clipped.increment(answer.metrics().clip() < 1 ? 1 : 0);
            nonFinite.increment(answer.metrics().nonFiniteCount());
        }
        receive.record(timings.receiveNanos(), TimeUnit.NANOSECONDS);
        queue.record(timings.queueNanos(), TimeUnit.NANOSECONDS);
        compute.record(timings.computeNanos(), TimeUnit.NANOSECONDS);
        total.record(timings.receiveNanos() + timings.queueNanos() + timings.computeNanos(), TimeUnit.NANOSECONDS);
    }

    void received(long bytes) {
        received.increment(bytes);
    }

    void sent(long bytes) {
        sent.increment(bytes);
    }

    void problem(ErrorCode code) {
        problems.get(code).increment();
    }

    private static void moved(
            MeterRegistry registry, Provider<Sessions> sessions, String tier, ToDoubleFunction<Sessions.Sleep> count) {
        FunctionCounter.builder("stepd.sessions.evicted", sessions, all -> count.applyAsDouble(all.get().sleep()))
                .description("sessions that left for somewhere slower to make room").tag("to", tier).register(registry);
    }

    private static void asleep(
            MeterRegistry registry, Provider<Sessions> sessions, String tier, ToDoubleFunction<Sessions.Sleep> count) {
        Gauge.builder("stepd.sessions.asleep", sessions, all -> count.applyAsDouble(all.get().sleep()))
                .description("sessions not on their device").tag("tier", tier).register(registry);
    }

    private static Counter counter(MeterRegistry registry, String name, String description) {
        return Counter.builder(name).description(description).register(registry);
    }

    private static Timer.Builder timer(MeterRegistry registry, String name, String description) {
        return Timer.builder(name).description(description).serviceLevelObjectives(BUCKETS);
    }

    private static Timer stage(MeterRegistry registry, String stage) {
        return timer(registry, "stepd.step.stage", "a stretch of a step").tag("stage", stage).register(registry);
    }
}
