package dev.stepd.server;

import dev.stepd.engine.Devices;
import io.micronaut.core.async.publisher.Publishers;
import io.micronaut.health.HealthStatus;
import io.micronaut.management.health.indicator.HealthIndicator;
import io.micronaut.management.health.indicator.HealthResult;
import io.micronaut.management.health.indicator.annotation.Readiness;
import jakarta.inject.Singleton;
import java.util.LinkedHashMap;
import java.util.Map;
import org.reactivestreams.Publisher;

/// `/health/readiness` with a word on every device: the server is not ready once one is lost, since only a restart brings it
/// back. It stays alive: sessions on other devices go on.
@Singleton
@Readiness
final class DeviceHealth implements HealthIndicator {
    private final Devices devices;

    DeviceHealth(Devices devices) {
        this.devices = devices;
    }

    @Override
    public Publisher<HealthResult> getResult() {
        var details = new LinkedHashMap<String, Object>();
        boolean up = true;
        for (var device : devices.all()) {
            var reason = device.reasonLost();
            up &= reason == null;
            details.put(device.name(), reason == null
                    ? Map.of("status", HealthStatus.UP.getName())
                    : Map.of("status", HealthStatus.DOWN.getName(), "reason", reason));
        }
        return Publishers.just(HealthResult.builder("devices", up ? HealthStatus.UP : HealthStatus.DOWN).details(details).build());
    }
}
