package dev.stepd.session;

import java.util.ArrayDeque;
import java.util.concurrent.Executor;

/// Runs tasks one at a time in the order they came, on threads it shares with other strands. What one task wrote the
/// next one sees. A task must not throw: it completes a future instead.
final class Strand {
    private final Executor pool;
    private final ArrayDeque<Runnable> waiting = new ArrayDeque<>();
    private boolean busy;

    Strand(Executor pool) {
        this.pool = pool;
    }

    /// Runs the task on the pool after those before it.
    void execute(Runnable task) {
        synchronized (this) {
            waiting.add(task);
            if (busy) {
                return;
            }
            busy = true;
        }
        pool.execute(this::runOne);
    }

    /// Runs the task now on the calling thread when nothing is under way, else like [#execute]. Saves two hand-overs
    /// between threads for a task that is shorter than they are.
    void executeHere(Runnable task) {
        synchronized (this) {
            if (busy) {
                waiting.add(task);
                return;
            }
            busy = true;
        }
        run(task);
    }

    /// Runs the task now on the calling thread when nothing is under way, else not at all.
    ///
    /// @return whether it ran
    boolean tryHere(Runnable task) {
        synchronized (this) {
            if (busy) {
                return false;
            }
            busy = true;
        }
        run(task);
        return true;
    }

    private void runOne() {
        Runnable task;
        synchronized (this) {
            task = waiting.remove();
        }
        run(task);
    }

    /// One task, then back to the end of the pool's queue: other strands get their turn.
    private void run(Runnable task) {
        try {
            task.run();
        } finally {
            boolean more;
            synchronized (this) {
                more = !waiting.isEmpty();
                busy = more;
            }
            if (more) {
                pool.execute(this::runOne);
            }
        }
    }
}
