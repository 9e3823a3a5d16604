package dev.stepd.device.cpu;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.concurrent.locks.LockSupport;

/// Threads that help whoever runs a pass. The caller always works on its own pass, so a small one is never behind a large one:
/// helpers take pieces of any pass that is open. Nothing is allocated while passes run.
final class Crew implements AutoCloseable {
    /// Passes open to helpers at once; further ones run on their callers alone.
    private static final int OPEN = 64;
    private static final int SPINS = 20_000;

    /// A pass cut in pieces that may run in any order and by any thread.
    abstract static class Work {
        private final AtomicInteger next = new AtomicInteger();
        private final AtomicInteger helpers = new AtomicInteger();
        private volatile Thread caller = Thread.currentThread();
        private volatile int pieces;
        private volatile Throwable failure;

        /// @param worker which participant runs the piece, 0 for the caller
        abstract void piece(int index, int worker);

        private void take(int worker) {
            try {
                for (int i = next.getAndIncrement(); i < pieces; i = next.getAndIncrement()) {
                    piece(i, worker);
                }
            } catch (Throwable e) {
                failure = e;
            }
        }
    }

    private final AtomicReferenceArray<Work> open = new AtomicReferenceArray<>(OPEN);
    private final Helper[] helpers;
    private volatile boolean closed;

    /// @param threads that work on a pass at most, its caller included
    Crew(int threads) {
        helpers = new Helper[threads - 1];
        for (int i = 0; i < helpers.length; i++) {
            helpers[i] = new Helper(i + 1);
            helpers[i].start();
        }
    }

    /// How many threads may work on a pass, its caller included.
    int size() {
        return helpers.length + 1;
    }

    /// Runs all pieces and returns when the last is done.
    void run(Work work, int pieces) {
        work.next.set(0);
        work.pieces = pieces;
        work.failure = null;
        work.caller = Thread.currentThread();
        int place = pieces > 1 && helpers.length > 0 ? publish(work) : -1;
        work.take(0);
        if (place >= 0) {
            open.set(place, null);
            awaitHelpers(work);
        }
        if (work.failure != null) {
            throw new IllegalStateException("a pass failed", work.failure);
        }
    }

    private int publish(Work work) {
        for (int place = 0; place < OPEN; place++) {
            if (open.compareAndSet(place, null, work)) {
                for (var helper : helpers) {
                    if (helper.idle) {
                        LockSupport.unpark(helper);
                    }
                }
                return place;
            }
        }
        return -1;
    }

    /// The pass is no longer open: helpers that joined before are waited for, and none can join after.
    private static void awaitHelpers(Work work) {
        for (int spin = 0; work.helpers.get() > 0; spin++) {
            if (spin < SPINS) {
                Thread.onSpinWait();
            } else {
                LockSupport.park(work);
            }
        }
    }

    @Override
    public void close() {
        closed = true;
        for (var helper : helpers) {
            LockSupport.unpark(helper);
        }
    }

    private final class Helper extends Thread {
        private final int number;
        private volatile boolean idle;

        Helper(int number) {
            super("stepd-crew-" + number);
            this.number = number;
            setDaemon(true);
        }

        @Override
        public void run() {
            while (!closed) {
                if (!help()) {
                    idle = true;
                    if (!help()) {
                        LockSupport.park(Crew.this);
                    }
                    idle = false;
                }
            }
        }

        /// Whether some pass was open.
        private boolean help() {
            boolean helped = false;
            for (int i = 0; i < OPEN; i++) {
                var work = open.get(i);
                if (work != null && join(work, i)) {
                    helped = true;
                }
            }
            return helped;
        }

        private boolean join(Work work, int place) {
            work.helpers.incrementAndGet();
            // Counted first, looked at again second: the caller closes the pass first and waits for the count second.
            boolean stillOpen = open.get(place) == work;
            boolean left = stillOpen && work.next.get() < work.pieces;
            if (left) {
                work.take(number);
            }
            if (work.helpers.decrementAndGet() == 0) {
                LockSupport.unpark(work.caller);
            }
            return left;
        }
    }
}
