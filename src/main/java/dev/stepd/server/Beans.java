package dev.stepd.server;

import dev.stepd.engine.Engine;
import dev.stepd.session.Sessions;
import dev.stepd.store.SnapshotStore;
import io.micronaut.context.annotation.Bean;
import io.micronaut.context.annotation.Factory;
import jakarta.inject.Singleton;

/// What the server is made of. Destroyed in the reverse order: sessions end before the store they are kept in.
@Factory
final class Beans {
    @Singleton
    @Bean(preDestroy = "close")
    Engine engine(ServerSettings settings) {
        return new Engine();
    }

    @Singleton
    @Bean(preDestroy = "close")
    SnapshotStore store(ServerSettings settings) {
        return () -> {};
    }

    @Singleton
    @Bean(preDestroy = "close")
    Sessions sessions(Engine engine, SnapshotStore store, ServerSettings settings) {
        return new Sessions(engine, store,
                new Sessions.Limits(settings.headerLimit(), settings.bytesInFlightMax(), settings.sessionLimit()));
    }
}
