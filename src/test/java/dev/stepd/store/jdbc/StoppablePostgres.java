package dev.stepd.store.jdbc;

import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;

/// A PostgreSQL that can be stopped and started again with what it had, at the same address.
public final class StoppablePostgres implements AutoCloseable {
    private final Path folder;
    private EmbeddedPostgres server;

    public StoppablePostgres(Path folder) throws IOException {
        this.folder = folder;
        this.server = EmbeddedPostgres.builder().setDataDirectory(folder).setCleanDataDirectory(false)
                .setPGStartupWait(Duration.ofSeconds(60)).start();
    }

    public String url() {
        return server.getJdbcUrl(Postgres.USER, "postgres").replaceFirst("\\?.*", "");
    }

    public void stop() throws IOException {
        server.close();
    }

    public void start() throws IOException {
        server = EmbeddedPostgres.builder().setDataDirectory(folder).setCleanDataDirectory(false).setPort(server.getPort())
                .setPGStartupWait(Duration.ofSeconds(60)).start();
    }

    @Override
    public void close() throws IOException {
        server.close();
    }
}
