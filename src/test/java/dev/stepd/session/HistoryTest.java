package dev.stepd.session;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/// What is kept of a session's past, and how it is read.
class HistoryTest {
    private static final StepMetrics METRICS = new StepMetrics(0.1, 1, 2, 3, 1, Map.of());
    private static final StepAnswer.Timings TIMINGS = new StepAnswer.Timings(1_000_000, 0, 0, 500_000);

    private final Events events = new Events(10);
    private final History history = events.of("s");

    private void steps(int from, int to) {
        for (int step = from; step <= to; step++) {
            history.step(step, METRICS, TIMINGS);
        }
    }

    private static List<Object> rest(EventStream stream) {
        var steps = new ArrayList<>();
        for (var event = stream.next(); event.isPresent(); event = stream.next()) {
            steps.add(event.get().name().equals("gap") ? event.get().data().get("missed") : event.get().data().get("step"));
        }
        return steps;
    }

    private EventStream all() {
        return events.open("s", Optional.of("0"), () -> {});
    }

    @Test
    void littleIsKeptUntilSomebodyReads() {
        steps(1, 100);
        assertThat(rest(all())).hasSize(1 + History.UNREAD_ENTRIES).startsWith(68L, 69L).endsWith(100L);
        steps(101, 2000);
        assertThat(rest(all())).hasSize(1 + History.ENTRIES).startsWith(2000L - History.ENTRIES, 2000L - History.ENTRIES + 1);
    }

    @Test
    void whatIsKeptOutlastsGrowth() {
        steps(1, 20);
        try (var early = all()) {
            steps(21, 300);
            assertThat(rest(early)).hasSize(300).startsWith(1L, 2L).endsWith(300L);
        }
    }

    @Test
    void aReaderIsWokenOnceForWhatItMissed() {
        var woken = new AtomicInteger();
        try (var stream = events.open("s", Optional.empty(), woken::incrementAndGet)) {
            steps(1, 3);
            assertThat(woken).as("it has not asked yet").hasValue(0);
            assertThat(rest(stream)).hasSize(3);
            steps(4, 6);
            assertThat(woken).hasValue(1);
            assertThat(rest(stream)).hasSize(3);
            history.end();
            assertThat(woken).hasValue(2);
            assertThat(stream.next()).isEmpty();
            assertThat(stream.hasEnded()).isTrue();
        }
        assertThat(events.openStreams()).isZero();
    }

    @Test
    void tiersAreTold() {
        try (var stream = all()) {
            history.evicted("disk", 7);
            history.woken("disk", 7, 2_500_000);
            assertThat(stream.next().orElseThrow().data()).containsEntry("tier", "disk").containsEntry("step", 7L);
            var woken = stream.next().orElseThrow();
            assertThat(woken.name()).isEqualTo("woken");
            assertThat(woken.data()).containsEntry("ms", 2.5);
        }
    }

    /// Whatever the ring holds when it is full, writing on makes no objects.
    @Test
    void tellingOfStepsAllocatesNothing() {
        var threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        all().close();
        steps(1, 5_000);
        long least = Long.MAX_VALUE;
        for (int i = 0; i < 50 && least > 0; i++) {
            long before = threads.getCurrentThreadAllocatedBytes();
            steps(1, 1_000);
            least = Math.min(least, threads.getCurrentThreadAllocatedBytes() - before);
        }
        assertThat(least).isZero();
    }
}
