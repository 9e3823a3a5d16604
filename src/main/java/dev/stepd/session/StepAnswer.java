package dev.stepd.session;

import dev.stepd.tensor.SafetensorsMessage;

/// What a step answers. The message's memory is leased: it stays valid until [#close], which the sender
/// calls when the last byte is out (or the connection is gone), from any thread.
///
/// @param message the deltas or parameters; for `return=none` empty (header `{}`, no data)
public record StepAnswer(
        long step,
        StepMetrics metrics,
        long durableStep,
        boolean replayed,
        Timings timings,
        SafetensorsMessage message,
        Runnable release)
        implements AutoCloseable {
    /// Nanoseconds of each stretch of a step up to the reply.
    ///
    /// @param wakeNanos 0 unless the session slept
    public record Timings(long receiveNanos, long queueNanos, long wakeNanos, long computeNanos) {}

    public double lr() {
        return metrics.lr();
    }

    public double gradNorm() {
        return metrics.gradNorm();
    }

    StepAnswer durableAt(long step) {
        return new StepAnswer(this.step, metrics, step, replayed, timings, message, release);
    }

    @Override
    public void close() {
        release.run();
    }
}
