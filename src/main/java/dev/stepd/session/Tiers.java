package dev.stepd.session;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Predicate;
import java.util.function.Supplier;

/// Makes room where memory is short: sessions that nobody steps go to sleep, the least recently used first. From a GPU they go to
/// main memory, from main memory to a file. Safe for concurrent use.
///
/// A session is only moved between two tasks of its own, and never waited for: whoever needs room may itself be somebody's task.
final class Tiers {
    private static final String CPU = "cpu";
    private static final long MOMENT_NANOS = 20_000_000;

    private final long idleNanos;
    private final Lanes lanes;
    private final Set<LiveSession> sessions = ConcurrentHashMap.newKeySet();
    private final AtomicLong toMemory = new AtomicLong();
    private final AtomicLong toDisk = new AtomicLong();
    private final AtomicLong wakes = new AtomicLong();
    private final AtomicBoolean asked = new AtomicBoolean();

    /// @param idle how long a session keeps its place after it was used last
    Tiers(Duration idle, Lanes lanes) {
        this.idleNanos = idle.toNanos();
        this.lanes = lanes;
    }

    void add(LiveSession session) {
        sessions.add(session);
    }

    void remove(LiveSession session) {
        sessions.remove(session);
    }

    /// What [System#nanoTime] says for a session that may leave at once.
    long idleSince() {
        return System.nanoTime() - idleNanos;
    }

    /// Tries something that takes memory, and again each time a session made room for it; blocks.
    ///
    /// @throws ServiceException `OUT_OF_MEMORY` when nobody can leave
    <T> T withRoom(Supplier<T> attempt) {
        return withRoom(_ -> false, attempt);
    }

    /// The same for a session, which stays.
    <T> T withRoom(LiveSession self, Supplier<T> attempt) {
        return withRoom(self::equals, attempt);
    }

    private <T> T withRoom(Predicate<LiveSession> stays, Supplier<T> attempt) {
        while (true) {
            try {
                return attempt.get();
            } catch (ServiceException e) {
                if (!makeRoom(e, stays)) {
                    throw e;
                }
            }
        }
    }

    /// Has one session make room for something that failed; blocks.
    ///
    /// @return false when that was not for want of memory, or nobody can leave
    boolean makeRoom(ServiceException failed, LiveSession self) {
        return makeRoom(failed, self::equals);
    }

    private boolean makeRoom(ServiceException failed, Predicate<LiveSession> stays) {
        return failed.code() == ErrorCode.OUT_OF_MEMORY && makeRoom(device(failed), stays);
    }

    /// Has room made for whoever tries again; from threads that must not block.
    void ask(ServiceException outOfMemory) {
        if (asked.compareAndSet(false, true)) {
            lanes.loading().execute(() -> {
                asked.set(false);
                makeRoom(device(outOfMemory), _ -> false);
            });
        }
    }

    private static String device(ServiceException outOfMemory) {
        return String.valueOf(outOfMemory.members().getOrDefault("device", CPU));
    }

    /// Has one session leave. One that is about to end a task gets the moment for that.
    private boolean makeRoom(String device, Predicate<LiveSession> stays) {
        long until = System.nanoTime() + MOMENT_NANOS;
        do {
            if (oneLeaves(device, stays)) {
                return true;
            }
            Thread.yield();
        } while (System.nanoTime() - until < 0);
        return false;
    }

    private boolean oneLeaves(String device, Predicate<LiveSession> stays) {
        if (device.equals(CPU) && leastRecent(Tier.MEMORY, _ -> true, stays).stream().anyMatch(this::sink)) {
            return true;
        }
        return leastRecent(Tier.DEVICE, session -> session.residence().device().equals(device), stays).stream().anyMatch(this::leave);
    }

    private List<LiveSession> leastRecent(Tier tier, Predicate<LiveSession> there, Predicate<LiveSession> stays) {
        long now = System.nanoTime();
        return sessions.stream()
                .filter(session -> session.residence().tier() == tier && there.test(session) && !stays.test(session))
                .filter(session -> tier == Tier.MEMORY || mayLeave(session, now))
                .sorted(Comparator.comparing(session -> session.lastUsed() - now))
                .toList();
    }

    private boolean mayLeave(LiveSession session, long now) {
        return !session.description().pinned() && now - session.lastUsed() >= idleNanos;
    }

    private boolean leave(LiveSession session) {
        boolean left = session.tryOnStrand(() -> session.isReady() && session.residence().leave());
        if (left) {
            (session.residence().tier() == Tier.MEMORY ? toMemory : toDisk).incrementAndGet();
        }
        return left;
    }

    private boolean sink(LiveSession session) {
        boolean left = session.tryOnStrand(() -> session.residence().sink());
        if (left) {
            toDisk.incrementAndGet();
        }
        return left;
    }

    void woken() {
        wakes.incrementAndGet();
    }

    /// Moves there have been, and sessions asleep now.
    Sessions.Sleep tally() {
        return new Sessions.Sleep(toMemory.get(), toDisk.get(), wakes.get(), count(Tier.MEMORY), count(Tier.DISK));
    }

    private long count(Tier tier) {
        return sessions.stream().filter(session -> session.residence().tier() == tier).count();
    }
}
