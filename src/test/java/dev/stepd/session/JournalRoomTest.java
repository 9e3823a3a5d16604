package dev.stepd.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.engine.Engine;
import dev.stepd.error.ErrorCode;
import dev.stepd.store.jdbc.JdbcSnapshotStore;
import dev.stepd.store.journal.Journals;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// A journal on a file system that is full, and then is not.
class JournalRoomTest {
    private static final String SESSION = """
            {"optimizer": {"name": "adamw"}, "durability": "journal", "snapshot_every": 1000000,
             "tensors": [{"name": "w", "shape": [10000]}]}""";

    @TempDir
    Path folder;

    private boolean mounted;

    @BeforeEach
    void mount() throws Exception {
        var place = Files.createDirectory(folder.resolve("small"));
        mounted = run("mount", "-t", "tmpfs", "-o", "size=1m", "none", place.toString());
        if (!mounted) {
            System.out.println("JournalRoomTest is left out: this user cannot mount a small file system");
        }
        Assumptions.assumeTrue(mounted, "no right to mount a small file system");
    }

    @AfterEach
    void unmount() throws Exception {
        if (mounted) {
            assertThat(run("umount", folder.resolve("small").toString())).isTrue();
        }
    }

    private static boolean run(String... command) throws InterruptedException {
        try {
            var process = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(ProcessBuilder.Redirect.DISCARD).start();
            return process.waitFor(10, TimeUnit.SECONDS) && process.exitValue() == 0;
        } catch (IOException absent) {
            return false;
        }
    }

    private Server server() {
        return new Server(JdbcSnapshotStore.h2(folder.resolve("data")), new Journals(folder.resolve("small"), 200_000),
                Server.LIMITS, new Engine(new CpuDevice(1 << 28, 2)));
    }

    private static byte[] gradient(long step) {
        var values = new float[10_000];
        for (int i = 0; i < values.length; i++) {
            values[i] = (i % 17 - 8) * 0.01f * step;
        }
        return Server.body("w", values);
    }

    @Test
    void refusesStepsWhileThereIsNoRoomAndTakesThemAfterwards() throws Exception {
        String id;
        Session.Digest at;
        try (var server = server()) {
            var session = server.create(SESSION);
            id = session.id();
            Server.upload(session, gradient(1));
            long full = stepUntilFull(session);
            var before = Server.get(session.digest());
            for (int i = 0; i < 3; i++) {
                assertRefused(session, full + 1);
                assertThat(Server.get(session.digest())).isEqualTo(before);
            }
            assertThat(session.status().durableStep()).isEqualTo(full);
            run("mount", "-o", "remount,size=8m", folder.resolve("small").toString());
            for (long step = full + 1; step <= full + 5; step++) {
                assertThat(Server.step(session, step, gradient(step)).durableStep()).isEqualTo(step);
            }
            at = Server.get(session.digest());
            server.kill();
        }
        try (var server = server()) {
            var back = server.sessions.find(id);
            assertThat(Server.get(back.digest())).isEqualTo(at);
            assertThat(back.status().status()).isEqualTo("ready");
            var twin = server.create(SESSION.replace("journal", "none"));
            Server.upload(twin, gradient(1));
            for (long step = 1; step <= at.step(); step++) {
                Server.step(twin, step, gradient(step));
            }
            assertThat(Server.get(twin.digest())).isEqualTo(at);
        }
    }

    private static long stepUntilFull(Session session) {
        for (long step = 1; step < 100; step++) {
            try {
                Server.step(session, step, gradient(step));
            } catch (RuntimeException e) {
                assertThat(Server.codeOf(e)).isEqualTo(ErrorCode.STORAGE_FULL);
                return step - 1;
            }
        }
        throw new AssertionError("a megabyte took 100 steps of 40 kB");
    }

    private static void assertRefused(Session session, long step) {
        assertThatThrownBy(() -> Server.step(session, step, gradient(step)))
                .satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(ErrorCode.STORAGE_FULL))
                .hasMessageContaining("journal of session " + session.id());
    }
}
