package dev.stepd.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.engine.Engine;
import dev.stepd.error.ErrorCode;
import dev.stepd.store.journal.Journals;
import dev.stepd.store.jdbc.JdbcSnapshotStore;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// A session larger than what it leaves free of memory: snapshots, restores and recovery go through the data folder, or through nothing.
class LargeSessionTest {
    private static final int ELEMENTS = 100_000;
    /// Room for parameters, two slots and two bodies, with less than another slot to spare.
    private static final long MEMORY_BYTES = 5 * ELEMENTS * Float.BYTES + ELEMENTS * Float.BYTES / 2;
    private static final String ADAM = """
            {"optimizer": {"name": "adamw", "lr": 0.1}, "durability": "%s", "snapshot_every": 1000,
             "tensors": [{"name": "v", "shape": [40000]}, {"name": "w", "shape": [60000]}]}""";

    @TempDir
    Path folder;

    private FaultyStore store;
    private Server server;

    @BeforeEach
    void start() {
        server = serve(MEMORY_BYTES);
    }

    private Server serve(long memoryBytes) {
        store = new FaultyStore(JdbcSnapshotStore.h2(folder));
        return new Server(store, new Journals(folder.resolve("journal"), 1 << 20), Server.LIMITS,
                new Engine(new CpuDevice(memoryBytes, 2)), folder.resolve("spool"));
    }

    @AfterEach
    void stop() {
        store.permits.release(1000);
        store.heldUp = false;
        server.close();
    }

    private static byte[] body(int step) {
        var v = new float[40_000];
        var w = new float[60_000];
        for (int i = 0; i < w.length; i++) {
            v[i % v.length] = (i % 17 - 8) * 0.01f * step;
            w[i] = (i % 13 - 6) * 0.01f * step;
        }
        return Server.body("v", v, "w", w);
    }

    private Session create(String durability) {
        var session = server.create(ADAM.formatted(durability));
        Server.upload(session, body(3));
        return session;
    }

    @Test
    void stepsOnWhileASnapshotOfItIsWritten() {
        var session = create("none");
        Server.step(session, 1, body(1));
        var before = Server.get(session.digest());
        store.heldUp = true;
        CompletableFuture<Session.SnapshotInfo> snapshot = session.snapshot().toCompletableFuture();
        Server.step(session, 2, body(2));
        assertThat(Server.step(session, 3, body(3)).step()).isEqualTo(3);
        assertThat(snapshot).isNotDone();
        store.permits.release(1);
        assertThat(Server.get(snapshot).digest()).isEqualTo(before.digest());
        assertThat(folder.resolve("spool")).isEmptyDirectory();
    }

    @Test
    void isRestoredThroughAFileAndDownloadedFromOne() {
        var session = create("none");
        Server.step(session, 1, body(1));
        var snapshot = Server.get(session.snapshot());
        var parameters = Server.read(session.parameters());
        Server.step(session, 2, body(2));
        assertThat(Server.get(session.restore(snapshot.id())).digest()).isEqualTo(snapshot.digest());
        assertThat(Server.get(session.digest()).digest()).isEqualTo(snapshot.digest());
        assertThat(Server.read(session.snapshotData(snapshot.id()))).containsAllEntriesOf(parameters);
        assertThat(Server.step(session, 2, body(2)).step()).isEqualTo(2);
    }

    @Test
    void givesItsStateThroughAFile() {
        var session = create("none");
        Server.step(session, 1, body(1));
        long free = server.engine.hostMemory().freeBytes();
        var state = Server.read(session.state());
        assertThat(state).containsOnlyKeys("v#exp_avg", "v#exp_avg_sq", "w#exp_avg", "w#exp_avg_sq");
        assertThat(state.values().stream().mapToLong(slot -> (long) slot.size() * Float.BYTES).sum()).isGreaterThan(free);
        assertThat(Server.read(session.plainState())).containsExactlyInAnyOrderEntriesOf(state);
        assertThat(folder.resolve("spool")).isEmptyDirectory();
    }

    @Test
    void comesBackWithNoRoomBesideIt() {
        var session = create("snapshot");
        Server.step(session, 1, body(1));
        server.close();
        var kept = Server.MEMORY_BYTES;
        server = serve(kept);
        var digest = Server.get(server.sessions.find(session.id()).digest());
        long needed = kept - server.engine.hostMemory().freeBytes();
        server.close();
        server = serve(needed + 100);
        var back = server.sessions.find(session.id());
        assertThat(back.status().status()).isEqualTo("ready");
        assertThat(Server.get(back.digest())).isEqualTo(digest);
    }

    @Test
    void tellsWhatRoomItLacksWhereThereIsNoFolder() {
        server.close();
        store = new FaultyStore(JdbcSnapshotStore.h2(folder));
        server = new Server(store, Server.LIMITS, MEMORY_BYTES);
        var session = create("none");
        var snapshot = Server.get(session.snapshot()); // waiting
        assertThatThrownBy(() -> Server.get(session.restore(snapshot.id())))
                .satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(ErrorCode.UNAVAILABLE))
                .hasMessageContaining("bytes of memory").hasMessageContaining("no folder");
    }
}
