package dev.stepd.store.jdbc;

import java.time.Duration;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// Renews a lease from a thread of its own, often enough that some renewals may fail.
final class Heartbeat implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(Heartbeat.class);
    private static final int BEATS = 6;

    private final Claims claims;
    private final Duration every;
    private final ScheduledExecutorService thread = Executors.newSingleThreadScheduledExecutor(
            Thread.ofPlatform().daemon().name("stepd-lease").factory());
    private boolean failing;

    Heartbeat(Claims claims, Duration lease) {
        this.claims = claims;
        this.every = lease.dividedBy(BEATS);
        thread.scheduleWithFixedDelay(this::beat, every.toNanos(), every.toNanos(), TimeUnit.NANOSECONDS);
    }

    Duration every() {
        return every;
    }

    private void beat() {
        try {
            claims.renew();
            if (failing) {
                LOG.info("the lease is renewed again");
            }
            failing = false;
        } catch (RuntimeException e) {
            if (!failing) {
                LOG.warn("the lease cannot be renewed: {}", e.getMessage());
            }
            failing = true;
        }
    }

    /// Waits for a beat under way.
    @Override
    public void close() {
        thread.shutdown();
        try {
            thread.awaitTermination(1, TimeUnit.MINUTES);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
