package dev.stepd.server;

import dev.stepd.device.Device;
import dev.stepd.engine.Devices;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;

/// What `/prometheus` tells of the devices.
final class DeviceMeters {
    private DeviceMeters() {}

    static void register(Devices devices, MeterRegistry registry) {
        for (var device : devices.all()) {
            Gauge.builder("stepd.device.healthy", device, one -> one.reasonLost() == null ? 1 : 0)
                    .description("1 while the device can be used, 0 once it is lost")
                    .tag("device", device.name()).register(registry);
            memory(device, "capacity").register(registry);
            memory(device, "used").register(registry);
        }
    }

    private static Gauge.Builder<Device> memory(Device device, String kind) {
        return Gauge.builder("stepd.device.memory.bytes", device, one -> bytes(one, kind))
                .description("memory for sessions: all of it, and what is taken").tag("device", device.name()).tag("kind", kind);
    }

    private static long bytes(Device device, String kind) {
        long capacity = device.memory().capacityBytes();
        return kind.equals("capacity") ? capacity : capacity - device.memory().freeBytes();
    }
}
