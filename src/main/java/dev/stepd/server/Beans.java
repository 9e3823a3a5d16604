package dev.stepd.server;

import dev.stepd.engine.Devices;
import dev.stepd.engine.Engine;
import dev.stepd.http.Optimizers;
import dev.stepd.session.Sessions;
import dev.stepd.store.SnapshotStore;
import dev.stepd.store.journal.Journals;
import dev.stepd.store.jdbc.JdbcSnapshotStore;
import io.micrometer.core.instrument.MeterRegistry;
import io.micronaut.context.annotation.Bean;
import io.micronaut.context.annotation.Factory;
import jakarta.inject.Singleton;
import java.io.IOException;
import java.nio.file.Files;

/// What the server is made of. Destroyed in the reverse order: sessions end before the store they are kept in.
@Factory
final class Beans {
    @Singleton
    MachineDevices machineDevices(ServerSettings settings) {
        return new MachineDevices(settings);
    }

    @Singleton
    Devices devices(MachineDevices machine, MeterRegistry registry) {
        var devices = machine.open();
        DeviceMeters.register(devices, registry);
        return devices;
    }

    /// Owns the devices.
    @Singleton
    @Bean(preDestroy = "close")
    Engine engine(Devices devices) {
        return new Engine(devices);
    }

    @Singleton
    @Bean(preDestroy = "close")
    SnapshotStore store(ServerSettings settings, StoreSettings shared) {
        if (shared.isShared()) {
            return SharedStore.open(shared);
        }
        try {
            return JdbcSnapshotStore.h2(Files.createDirectories(settings.data()));
        } catch (IOException | RuntimeException e) {
            throw new UsageException("--data " + settings.data() + " cannot be used, is another stepd running on it? " + e.getMessage());
        }
    }

    @Singleton
    @Bean(preDestroy = "close")
    Journals journals(ServerSettings settings) {
        return new Journals(settings.data().resolve("journal"), settings.journalSegment());
    }

    @Singleton
    @Bean(preDestroy = "close")
    Sessions sessions(Engine engine, SnapshotStore store, Journals journals, ServerSettings settings) {
        return new Sessions(engine, store, journals,
                new Sessions.Limits(settings.headerLimit(), settings.bytesInFlightMax(), settings.sessionLimit(), settings.idleAfter(),
                        settings.eventStreamLimit()),
                settings.data().resolve("spool"));
    }

    @Singleton
    Optimizers optimizers() {
        return CatalogueListing.optimizers();
    }
}
