package dev.stepd.session;

import java.time.Instant;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// What happened to one session lately. From any thread.
///
/// A ring of numbers: a step is a few of them, and text is made of it when somebody reads. There are few entries until somebody
/// does, and none before the first event, so that thousands of small sessions cost little. Writing never waits for readers: who is
/// too slow finds what he missed overwritten, and is told how much that was.
final class History {
    /// Entries of a session that nobody ever listened to: for who does when something went wrong.
    static final int UNREAD_ENTRIES = 32;
    static final int ENTRIES = 1024;

    private static final int TIME = 0;
    private static final int STEP = 1;
    private static final int LR = 2;
    private static final int GRAD_NORM = 3;
    private static final int UPDATE_NORM = 4;
    private static final int PARAM_NORM = 5;
    private static final int CLIP = 6;
    private static final int RECEIVE = 7;
    private static final int QUEUE = 8;
    private static final int COMPUTE = 9;
    private static final int WAKE = 10;
    private static final int NUMBERS = 11;
    private static final double MILLIS = 1e-6;

    /// What is no step.
    private record Notice(String name, Map<String, Object> data) {}

    private final String epoch;
    private long[] numbers = {};
    /// By entry: a notice, or what of a step was not finite.
    private @Nullable Object[] notes = {};
    private int entriesMax = UNREAD_ENTRIES;
    private long oldest = 1;
    private long next = 1;
    private boolean ended;
    private EventStream[] streams = {};

    /// @param epoch no other history has, this session's before a restart included
    History(String epoch) {
        this.epoch = epoch;
    }

    /// A step was taken.
    void step(long step, StepMetrics metrics, StepAnswer.Timings timings) {
        EventStream[] waiting;
        synchronized (this) {
            if (ended) {
                return;
            }
            int at = place(metrics.nonFinite().isEmpty() ? null : metrics.nonFinite()) * NUMBERS;
            numbers[at + STEP] = step;
            numbers[at + LR] = Double.doubleToRawLongBits(metrics.lr());
            numbers[at + GRAD_NORM] = Double.doubleToRawLongBits(metrics.gradNorm());
            numbers[at + UPDATE_NORM] = Double.doubleToRawLongBits(metrics.updateNorm());
            numbers[at + PARAM_NORM] = Double.doubleToRawLongBits(metrics.paramNorm());
            numbers[at + CLIP] = Double.doubleToRawLongBits(metrics.clip());
            numbers[at + RECEIVE] = timings.receiveNanos();
            numbers[at + QUEUE] = timings.queueNanos();
            numbers[at + COMPUTE] = timings.computeNanos();
            numbers[at + WAKE] = timings.wakeNanos();
            waiting = streams;
        }
        wake(waiting);
    }

    void snapshot(Session.SnapshotInfo snapshot) {
        notice("snapshot", Map.of("id", snapshot.id(), "step", snapshot.step(), "bytes", snapshot.bytes(), "digest", snapshot.digest()));
    }

    void restored(String snapshot, long step) {
        notice("restore", Map.of("snapshot", snapshot, "step", step));
    }

    /// The session's memory went to another tier.
    ///
    /// @param tier where its state is now
    void evicted(String tier, long step) {
        notice("evicted", Map.of("tier", tier, "step", step));
    }

    /// It came back.
    ///
    /// @param tier where its state was
    void woken(String tier, long step, long nanos) {
        notice("woken", Map.of("tier", tier, "step", step, "ms", nanos * MILLIS));
    }

    void failed(String reason, long step) {
        notice("failed", Map.of("reason", reason, "step", step));
    }

    /// The description changed, from the step after `step` on.
    void reconfigured(long step) {
        notice("reconfigured", Map.of("step", step));
    }

    /// The last of all.
    void deleted() {
        notice("deleted", Map.of());
        end();
    }

    /// Nothing more comes: streams end when they have told what there is.
    void end() {
        EventStream[] waiting;
        synchronized (this) {
            ended = true;
            waiting = streams;
        }
        wake(waiting);
    }

    private void notice(String name, Map<String, Object> data) {
        EventStream[] waiting;
        synchronized (this) {
            if (ended) {
                return;
            }
            place(new Notice(name, data));
            waiting = streams;
        }
        wake(waiting);
    }

    private static void wake(EventStream[] waiting) {
        for (var stream : waiting) {
            stream.wake();
        }
    }

    /// Takes an entry, the oldest one where all are taken.
    private int place(@Nullable Object note) {
        if (next - oldest == notes.length) {
            if (notes.length < entriesMax) {
                grow(Math.min(entriesMax, Math.max(UNREAD_ENTRIES, 2 * notes.length)));
            } else {
                oldest++;
            }
        }
        int entry = (int) (next++ % notes.length);
        notes[entry] = note;
        numbers[entry * NUMBERS + TIME] = System.currentTimeMillis();
        return entry;
    }

    private void grow(int entries) {
        var before = notes;
        var numbersBefore = numbers;
        notes = new @Nullable Object[entries];
        numbers = new long[entries * NUMBERS];
        for (long event = oldest; event < next; event++) {
            int from = (int) (event % before.length);
            int to = (int) (event % entries);
            notes[to] = before[from];
            System.arraycopy(numbersBefore, from * NUMBERS, numbers, to * NUMBERS, NUMBERS);
        }
    }

    /// Wakes a stream from now on, and keeps more.
    synchronized void add(EventStream stream) {
        entriesMax = ENTRIES;
        streams = Arrays.copyOf(streams, streams.length + 1);
        streams[streams.length - 1] = stream;
    }

    synchronized void remove(EventStream stream) {
        streams = Arrays.stream(streams).filter(other -> other != stream).toArray(EventStream[]::new);
    }

    String epoch() {
        return epoch;
    }

    /// The position behind the last event.
    synchronized long next() {
        return next;
    }

    /// What a stream reads next, if there is anything; else it is woken when there is. Moves it on.
    synchronized @Nullable Event read(EventStream stream) {
        long position = stream.position();
        if (stream.lostCount() || position < oldest) {
            var data = gap(stream.lostCount() ? null : oldest - position);
            stream.moveTo(Math.max(position, oldest));
            return new Event(id(stream.position() - 1), "gap", data);
        }
        if (position < next) {
            stream.moveTo(position + 1);
            return event(position);
        }
        stream.waits(ended);
        return null;
    }

    /// @param missed null when nobody knows
    private static Map<String, Object> gap(@Nullable Long missed) {
        var data = new LinkedHashMap<String, @Nullable Object>();
        data.put("missed", missed);
        data.put("reason", missed == null ? "the server started anew" : "they are no longer kept");
        return data;
    }

    private String id(long position) {
        return epoch + EventStream.SEPARATOR + position;
    }

    private Event event(long position) {
        int entry = (int) (position % notes.length);
        var data = new LinkedHashMap<String, @Nullable Object>();
        data.put("time", Instant.ofEpochMilli(number(entry, TIME)).toString());
        if (notes[entry] instanceof Notice notice) {
            data.putAll(notice.data());
            return new Event(id(position), notice.name(), data);
        }
        data.put("step", number(entry, STEP));
        data.put("lr", real(entry, LR));
        data.put("grad_norm", real(entry, GRAD_NORM));
        known(data, "update_norm", real(entry, UPDATE_NORM));
        known(data, "param_norm", real(entry, PARAM_NORM));
        known(data, "clip", real(entry, CLIP));
        data.put("non_finite", notes[entry] == null ? Map.of() : notes[entry]);
        data.put("timings", timings(entry));
        return new Event(id(position), "step", data);
    }

    /// Milliseconds, by the names of `Server-Timing`.
    private Map<String, Object> timings(int entry) {
        var timings = new LinkedHashMap<String, Object>();
        timings.put("recv", number(entry, RECEIVE) * MILLIS);
        timings.put("queue", number(entry, QUEUE) * MILLIS);
        if (number(entry, WAKE) > 0) {
            timings.put("wake", number(entry, WAKE) * MILLIS);
        }
        timings.put("compute", number(entry, COMPUTE) * MILLIS);
        return timings;
    }

    private static void known(Map<String, @Nullable Object> data, String name, double value) {
        if (!Double.isNaN(value)) {
            data.put(name, value);
        }
    }

    private long number(int entry, int which) {
        return numbers[entry * NUMBERS + which];
    }

    private double real(int entry, int which) {
        return Double.longBitsToDouble(number(entry, which));
    }
}
