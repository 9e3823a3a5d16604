package dev.stepd.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.store.jdbc.JdbcSnapshotStore;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Too little memory, too many bodies, a database that is slow or away, a server that goes down.
class ShortageTest {
    private static final String SGD = """
            {"optimizer": {"name": "sgd", "lr": 1}, "durability": "%s", "snapshot_every": 2,
             "tensors": [{"name": "w", "shape": [%d]}]}""";

    @TempDir
    Path folder;

    private FaultyStore store;
    private Server server;

    @BeforeEach
    void start() {
        store = new FaultyStore(JdbcSnapshotStore.h2(folder));
    }

    @AfterEach
    void stop() {
        store.heldUp = false;
        store.broken = false;
        store.permits.release(1000);
        server.close();
    }

    private Session serve(Sessions.Limits limits, long memoryBytes, String durability, int elements) {
        server = new Server(store, limits, memoryBytes);
        return server.create(SGD.formatted(durability, elements));
    }

    private static byte[] ones(int elements) {
        var gradient = new float[elements];
        java.util.Arrays.fill(gradient, 1);
        return Server.body("w", gradient);
    }

    @Test
    void boundsTheBytesInFlightOverAllSessions() {
        var session = serve(new Sessions.Limits(1 << 20, 10_000, 10, Duration.ofHours(1)), 1 << 24, "none", 1000);
        var other = server.create(SGD.formatted("none", 1000));
        var body = ones(1000);
        try (var one = session.receiveStep(Server.order(1, body)); var two = other.receiveStep(Server.order(1, body))) {
            assertRefused(() -> session.receiveStep(Server.order(1, body)), ErrorCode.TOO_MANY_REQUESTS, "10000 allowed at a time");
            assertRefused(() -> other.receiveParameters(body.length), ErrorCode.TOO_MANY_REQUESTS, "in flight");
            two.write(ByteBuffer.wrap(body));
            Server.reply(Server.get(two.finish()));
            other.receiveStep(Server.order(2, body)).close();
        }
        for (int step = 2; step < 10; step++) {
            Server.step(other, step, body);
        }
    }

    @Test
    void boundsTheNumberOfSessions() {
        serve(new Sessions.Limits(1 << 20, 10_000, 1, Duration.ofHours(1)), 1 << 24, "none", 1);
        assertRefused(() -> server.create(SGD.formatted("none", 1)), ErrorCode.TOO_MANY_REQUESTS, "there are 1 sessions, allowed are 1");
    }

    @Test
    void refusesBodiesWhileMemoryIsShortAndTakesThemLater() {
        // room for the session, its first body and one more
        var session = serve(Server.LIMITS, 1_300_000, "none", 100_000);
        var body = ones(100_000);
        var held = new ArrayList<Incoming<StepAnswer>>();
        held.add(session.receiveStep(Server.order(1, body)));
        held.add(session.receiveStep(Server.order(1, body)));
        assertRefused(() -> session.receiveStep(Server.order(1, body)), ErrorCode.UNAVAILABLE, "bytes of memory");
        held.forEach(Incoming::close);
        for (int step = 1; step < 6; step++) {
            assertThat(Server.step(session, step, body).step()).isEqualTo(step);
        }
        assertRefused(() -> server.create(SGD.formatted("none", 100_000)), ErrorCode.OUT_OF_MEMORY, "bytes of memory");
    }

    @Test
    void givesUpTheLastAnswerForTheNextStepWhenMemoryIsShort() {
        var session = serve(Server.LIMITS, 1_000_000, "none", 100_000);
        var body = ones(100_000);
        for (int step = 1; step < 6; step++) {
            assertThat(Server.step(session, step, body).step()).isEqualTo(step);
        }
        assertRefused(() -> session.receiveStep(Server.order(5, body)), ErrorCode.UNAVAILABLE, "bytes of memory");
        assertThat(Server.step(session, 6, body).deltas().get("w")).containsOnly(-1f);
    }

    @Test
    void storesALargeSessionWithoutMemoryForACopy() {
        var session = serve(Server.LIMITS, 1_300_000, "snapshot", 100_000);
        var body = ones(100_000);
        for (int step = 1; step <= 5; step++) {
            Server.step(session, step, body);
        }
        assertThat(((LiveSession) session.life()).snapshots().afterTheOthers(() -> {})).succeedsWithin(java.time.Duration.ofSeconds(10));
        assertThat(session.status().durableStep()).isGreaterThanOrEqualTo(2);
    }

    @Test
    void smallSessionsAreStoredThoughLargeOnesTakeLong() {
        var session = serve(Server.LIMITS, 1 << 26, "none", 10);
        var large = Stream.generate(() -> server.create(SGD.formatted("none", 2_000_000))).limit(3).toList();
        store.heldUp = true;
        var waiting = large.stream().map(one -> one.snapshot().toCompletableFuture()).toList();
        long until = System.nanoTime() + Duration.ofSeconds(30).toNanos();
        while (store.begun.get() < 2) { // as many as are written at a time
            assertThat(System.nanoTime()).isLessThan(until);
            Thread.onSpinWait();
        }
        store.heldUp = false;
        assertThat(Server.get(session.snapshot()).step()).isZero();
        assertThat(waiting).noneMatch(CompletableFuture::isDone);
        store.permits.release(2);
        waiting.forEach(Server::get);
    }

    @Test
    void stepsOnWhileASnapshotIsWrittenAndOvertakesNone() {
        var session = serve(Server.LIMITS, 1 << 24, "snapshot", 10);
        store.heldUp = true;
        for (int step = 1; step <= 20; step++) {
            Server.step(session, step, ones(10));
        }
        assertThat(session.status().durableStep()).isZero();
        store.permits.release(1);
        Server.settle(session);
        assertThat(store.begun).hasValue(1);
        assertThat(session.status().durableStep()).isEqualTo(2);
        store.permits.release(10);
        Server.step(session, 21, ones(10));
        Server.settle(session);
        assertThat(session.status().durableStep()).isEqualTo(21);
    }

    @Test
    void stepsOnWhenTheDatabaseIsAwayAndTellsWhatIsDurable() {
        var session = serve(Server.LIMITS, 1 << 24, "snapshot", 10);
        store.broken = true;
        for (int step = 1; step <= 4; step++) {
            assertThat(Server.step(session, step, ones(10)).durableStep()).isZero();
        }
        assertRefused(() -> Server.upload(session, ones(10)), ErrorCode.UNAVAILABLE, "in effect but was not stored: the disk is full");
        assertThat(Server.read(session.parameters()).get("w")).containsOnly(1f);
        assertRefused(() -> Server.get(session.snapshot()), ErrorCode.UNAVAILABLE, "the disk is full");
        assertRefused(() -> server.create(SGD.formatted("snapshot", 1)), ErrorCode.UNAVAILABLE, "the disk is full");
        assertThat(session.snapshots()).isEmpty();
        store.broken = false;
        assertThat(Server.get(session.snapshot()).step()).isEqualTo(4);
        assertThat(session.status().durableStep()).isEqualTo(4);
    }

    @Test
    void givesEveryByteBack() {
        server = new Server(store, Server.LIMITS, 1 << 26);
        long free = server.engine.hostMemory().freeBytes();
        var session = server.create(SGD.formatted("none", 1000));
        var body = ones(1000);
        Server.upload(session, body);
        StepAnswer late;
        try (var incoming = session.receiveStep(Server.order(1, body))) {
            incoming.write(ByteBuffer.wrap(body));
            late = Server.get(incoming.finish());
        }
        var receiving = session.receiveStep(Server.order(2, body));
        receiving.write(ByteBuffer.wrap(body, 0, 100));
        Server.get(session.snapshot());
        Server.sent(session.state());
        server.sessions.delete(session.id());
        assertThat(Server.read(late.message()).get("w")).containsOnly(-1f);
        late.close();
        receiving.close();
        assertThat(server.engine.hostMemory().freeBytes()).isEqualTo(free);
        assertThatThrownBy(() -> session.receiveStep(new StepOrder(OptionalLong.empty(), false, StepOrder.Return.DELTA, -1)))
                .isInstanceOf(ServiceException.class);
    }

    @Test
    void refusesWorkWhenItGoesDownAndStoresWhatIsNew() {
        var session = serve(Server.LIMITS, 1 << 24, "snapshot", 10);
        Server.step(session, 1, ones(10));
        var receiving = session.receiveStep(Server.order(2, ones(10)));
        receiving.write(ByteBuffer.wrap(ones(10)));
        var large = server.create(SGD.formatted("none", 100_000));
        var receivingLarge = large.receiveStep(Server.order(1, ones(100_000)));
        receivingLarge.write(ByteBuffer.wrap(ones(100_000)));
        server.sessions.close();
        assertRefused(() -> Server.get(receivingLarge.finish()), ErrorCode.UNAVAILABLE, "is draining");
        receivingLarge.close();
        assertRefused(() -> Server.get(receiving.finish()), ErrorCode.UNAVAILABLE, "is draining");
        receiving.close();
        assertRefused(() -> session.receiveStep(Server.order(2, ones(10))), ErrorCode.UNAVAILABLE, "is draining");
        assertRefused(() -> server.create(SGD.formatted("none", 1)), ErrorCode.UNAVAILABLE, "draining");
        assertThat(store.snapshots(session.id()).getLast().step()).isEqualTo(1);
    }

    private static void assertRefused(ThrowingCallable call, ErrorCode code, String message) {
        assertThatThrownBy(call).satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(code)).hasMessageContaining(message);
    }
}
