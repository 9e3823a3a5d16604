package dev.stepd.server;

import dev.stepd.session.Sessions;
import io.micronaut.core.async.publisher.Publishers;
import io.micronaut.health.HealthStatus;
import io.micronaut.management.health.indicator.HealthIndicator;
import io.micronaut.management.health.indicator.HealthResult;
import io.micronaut.management.health.indicator.annotation.Readiness;
import jakarta.inject.Singleton;
import org.reactivestreams.Publisher;

/// `/health/readiness` once the server was asked to end: it finishes what it has and wants nothing new.
@Singleton
@Readiness
final class DrainHealth implements HealthIndicator {
    private final Sessions sessions;

    DrainHealth(Sessions sessions) {
        this.sessions = sessions;
    }

    @Override
    public Publisher<HealthResult> getResult() {
        var status = sessions.isDraining() ? HealthStatus.DOWN : HealthStatus.UP;
        return Publishers.just(HealthResult.builder("sessions", status).build());
    }
}
