package dev.stepd.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.device.cuda.ShimDevices;
import dev.stepd.device.cuda.shim.CudaShim;
import dev.stepd.engine.Devices;
import dev.stepd.engine.Engine;
import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.store.jdbc.JdbcSnapshotStore;
import dev.stepd.store.journal.Journals;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// More sessions than memory holds: those that nobody steps sleep, and wake with the same bits.
class TiersTest {
    private static final int ELEMENTS = 40_000;
    private static final long ARRAY_BYTES = ELEMENTS * Float.BYTES;
    /// Two sessions of AdamW with a body each and a little more, not three.
    private static final long TWO_SESSIONS = 11 * ARRAY_BYTES;
    private static final String SESSION = """
            {"optimizer": {"name": "%s", "lr": 0.1}, "durability": "%s", "snapshot_every": 1000000, "pinned": %b,
             "tensors": [{"name": "v", "shape": [100]}, {"name": "w", "shape": [39900]}]}""";

    @TempDir
    Path folder;

    private Server server;

    @AfterEach
    void stop() {
        if (server != null) {
            server.close();
        }
    }

    private static Sessions.Limits limits(Duration idle) {
        return new Sessions.Limits(1 << 20, 1L << 30, 1000, idle);
    }

    private Server serve(Engine engine, Duration idle) {
        server = new Server(JdbcSnapshotStore.h2(folder), new Journals(folder.resolve("journal"), 1 << 20), limits(idle), engine,
                folder.resolve("spool"));
        return server;
    }

    private void serve(long memoryBytes) {
        serve(new Engine(new CpuDevice(memoryBytes, 2)), Duration.ZERO);
    }

    private Session create(String optimizer, String durability) {
        var session = server.create(SESSION.formatted(optimizer, durability, false));
        Server.upload(session, gradient(0));
        return session;
    }

    private static byte[] gradient(int step) {
        var random = new Random(step);
        var v = new float[100];
        var w = new float[ELEMENTS - 100];
        for (int i = 0; i < w.length; i++) {
            v[i % v.length] = (float) random.nextGaussian();
            w[i] = (float) random.nextGaussian();
        }
        return Server.body("v", v, "w", w);
    }

    /// What a session is that never slept, after the same steps.
    private static Session.Digest undisturbed(String optimizer, int steps) {
        try (var store = JdbcSnapshotStore.h2(Path.of("target", "tiers-" + System.nanoTime()));
                var server = new Server(store, Server.LIMITS, 1L << 28)) {
            var session = server.create(SESSION.formatted(optimizer, "none", false));
            Server.upload(session, gradient(0));
            for (int step = 1; step <= steps; step++) {
                Server.step(session, step, gradient(step));
            }
            return Server.get(session.digest());
        }
    }

    private static List<String> tiers(List<Session> sessions) {
        return sessions.stream().map(session -> session.status().tier()).toList();
    }

    @ParameterizedTest
    @ValueSource(strings = {"adamw", "prodigy", "adam8bit", "subset_norm", "lookahead"})
    void aSessionWakesWhereItFellAsleep(String optimizer) {
        serve(TWO_SESSIONS);
        var first = create(optimizer, "none");
        Server.step(first, 1, gradient(1));
        Server.step(first, 2, gradient(2));
        var others = new ArrayList<Session>();
        while (first.status().tier().equals("device")) {
            others.add(create(optimizer, "none"));
        }
        assertThat(first.status().tier()).isEqualTo("disk");
        assertThat(first.status().step()).isEqualTo(2);
        assertThat(server.sessions.sleep().toDisk()).isEqualTo(1);
        for (int step = 3; step <= 5; step++) {
            Server.step(first, step, gradient(step));
        }
        assertThat(first.status().tier()).isEqualTo("device");
        assertThat(server.sessions.sleep().wakes()).isEqualTo(1);
        assertThat(Server.get(first.digest())).isEqualTo(undisturbed(optimizer, 5));
    }

    @Test
    void theLeastRecentlySteppedLeavesFirstAndPinnedOnesNever() {
        serve(TWO_SESSIONS);
        var pinned = server.create(SESSION.formatted("adamw", "none", true));
        var a = create("adamw", "none");
        var b = create("adamw", "none");
        assertThat(tiers(List.of(pinned, a, b))).containsExactly("device", "disk", "device");
        Server.step(a, 1, gradient(1));
        assertThat(tiers(List.of(pinned, a, b))).containsExactly("device", "device", "disk");
        Server.get(b.patch(Server.object("{\"pinned\": true}")));
        assertThat(tiers(List.of(pinned, a, b))).containsExactly("device", "disk", "device");
        assertThatThrownBy(() -> create("adamw", "none"))
                .satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(ErrorCode.OUT_OF_MEMORY));
        assertThatThrownBy(() -> Server.step(a, 2, gradient(2)))
                .satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(ErrorCode.UNAVAILABLE));
        assertThat(a.status().step()).isEqualTo(1);
        Server.get(pinned.patch(Server.object("{\"pinned\": false}")));
        Server.step(a, 2, gradient(2));
        assertThat(Server.get(a.digest())).isEqualTo(undisturbed("adamw", 2));
    }

    @Test
    void whoWasSteppedJustNowStays() {
        serve(new Engine(new CpuDevice(TWO_SESSIONS, 2)), Duration.ofHours(1));
        create("adamw", "none");
        create("adamw", "none");
        assertThatThrownBy(() -> create("adamw", "none"))
                .satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(ErrorCode.OUT_OF_MEMORY));
    }

    @Test
    void aLostAnswerIsRepeatedWithoutWaking() {
        serve(TWO_SESSIONS);
        var session = create("adamw", "none");
        var answer = Server.step(session, 1, gradient(1));
        create("adamw", "none");
        create("adamw", "none");
        assertThat(session.status().tier()).isEqualTo("disk");
        var again = Server.step(session, 1, gradient(1));
        assertThat(again.replayed()).isTrue();
        assertThat(again.deltas()).isEqualTo(answer.deltas());
        assertThat(session.status().tier()).isEqualTo("disk");
        assertThatThrownBy(() -> Server.step(session, 1, gradient(2)))
                .satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(ErrorCode.STEP_BODY_DIFFERS));
    }

    @Test
    void aBodyOnItsWayKeepsItsSessionAwake() {
        serve(TWO_SESSIONS);
        var session = create("adamw", "none");
        var body = gradient(1);
        try (var incoming = session.receiveStep(Server.order(1, body))) {
            var other = create("adamw", "none");
            create("adamw", "none");
            assertThat(tiers(List.of(session, other))).containsExactly("device", "disk");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"snapshot", "journal"})
    void sleepingSessionsAreStoredAtTheEndAndSleepOnAfterARestart(String durability) {
        serve(TWO_SESSIONS);
        var sessions = new ArrayList<Session>();
        for (int i = 0; i < 4; i++) {
            sessions.add(create("adamw", durability));
            Server.step(sessions.get(i), 1, gradient(1));
        }
        Server.step(sessions.getFirst(), 2, gradient(2));
        assertThat(tiers(sessions)).contains("disk");
        server.close();
        serve(TWO_SESSIONS);
        for (int i = 0; i < 4; i++) {
            var back = server.sessions.find(sessions.get(i).id());
            assertThat(back.status().status()).isEqualTo("ready");
            assertThat(Server.get(back.digest())).isEqualTo(undisturbed("adamw", i == 0 ? 2 : 1));
        }
    }

    @Test
    void aSessionThatSleptIsRecoveredFromItsJournalAfterAKill() {
        serve(TWO_SESSIONS);
        var session = create("adamw", "journal");
        Server.step(session, 1, gradient(1));
        create("adamw", "none");
        create("adamw", "none");
        assertThat(session.status().tier()).isEqualTo("disk");
        Server.step(session, 2, gradient(2));
        Server.settle(session);
        server.kill();
        serve(TWO_SESSIONS);
        assertThat(Server.get(server.sessions.find(session.id()).digest())).isEqualTo(undisturbed("adamw", 2));
    }

    /// What a journal is taken again from and into takes room too.
    @ParameterizedTest
    @ValueSource(ints = {15, 17, 19, 21})
    void moreJournalsThanFitAreRecovered(int halfArrays) {
        serve(TWO_SESSIONS);
        var sessions = new ArrayList<Session>();
        for (int i = 0; i < 5; i++) {
            sessions.add(create("adamw", "journal"));
            for (int step = 1; step <= 3; step++) {
                Server.step(sessions.get(i), step, gradient(step));
            }
            Server.settle(sessions.get(i));
        }
        server.kill();
        serve(halfArrays * ARRAY_BYTES / 2);
        for (var session : sessions) {
            var back = server.sessions.find(session.id());
            assertThat(back.status().status()).isEqualTo("ready");
            untilTaken(() -> assertThat(Server.get(back.digest())).isEqualTo(undisturbed("adamw", 3)));
        }
    }

    @Test
    void manyClientsStepMoreSessionsThanFit() {
        serve(TWO_SESSIONS + ARRAY_BYTES);
        int clients = 6;
        int steps = 12;
        var sessions = Stream.generate(() -> create("adamw", "none")).limit(clients).toList();
        var done = sessions.stream().map(session -> CompletableFuture.runAsync(() -> {
            for (int step = 1; step <= steps; step++) {
                stepUntilTaken(session, step);
            }
        }, task -> Thread.ofPlatform().start(task))).toList();
        done.forEach(CompletableFuture::join);
        var expected = undisturbed("adamw", steps);
        for (var session : sessions) {
            assertThat(Server.get(session.digest())).isEqualTo(expected);
        }
        assertThat(server.sessions.sleep().wakes()).isPositive();
    }

    private static void stepUntilTaken(Session session, int step) {
        untilTaken(() -> assertThat(Server.step(session, step, gradient(step)).replayed()).isFalse());
    }

    /// As clients do that are told to try again.
    private static void untilTaken(Runnable request) {
        while (true) {
            try {
                request.run();
                return;
            } catch (ServiceException e) {
                assertThat(e.code()).isEqualTo(ErrorCode.UNAVAILABLE);
                Thread.yield();
            }
        }
    }

    @Test
    @Tag("gpu")
    void fromAGpuSessionsGoToMainMemoryAndFromThereToDisk() {
        Assumptions.assumeTrue(CudaShim.available(), "no g++");
        long room = 8 * ARRAY_BYTES;
        var devices = new Devices(List.of(ShimDevices.open(room).getFirst(), new CpuDevice(6 * ARRAY_BYTES, 2)), "");
        serve(new Engine(devices), Duration.ZERO);
        var sessions = new ArrayList<Session>();
        for (int i = 0; i < 4; i++) {
            var session = server.create(SESSION.formatted("adamw", "none", false).replaceFirst("\\{", "{\"device\": \"cuda\", "));
            untilTaken(() -> Server.upload(session, gradient(0)));
            stepUntilTaken(session, 1);
            sessions.add(session);
        }
        assertThat(server.sessions.sleep().toMemory()).isPositive();
        assertThat(server.sessions.sleep().toDisk()).isPositive();
        for (var session : sessions) {
            stepUntilTaken(session, 2);
            assertThat(session.status().tier()).isEqualTo("device");
            assertThat(session.status().device()).isEqualTo("cuda:0");
            assertThat(Server.get(session.digest())).isEqualTo(undisturbed("adamw", 2));
        }
    }
}
