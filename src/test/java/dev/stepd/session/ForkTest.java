package dev.stepd.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.engine.Engine;
import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.store.jdbc.JdbcSnapshotStore;
import dev.stepd.store.journal.Journals;
import java.nio.file.Path;
import java.sql.DriverManager;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Sessions that go on from the state of others: to the bit where nothing differs, and else as the reply says.
class ForkTest {
    private static final String SESSION = """
            {"name": "kept", "optimizer": {"name": "%s", "lr": 0.01}, "durability": "%s", "snapshot_every": 1000,
             "groups": [{"match": "v", "lr": 0.02}], "clip": {"global_norm": 2}, "state": %s,
             "average": {"name": "ema", "decay": 0.5},
             "tensors": [{"name": "v", "shape": [1]}, {"name": "w", "shape": [3]}]}""";
    private static final String F32 = "{\"format\": \"f32\"}";
    private static final String CODED = "{\"format\": \"%s\", \"slots\": {\"average\": \"f32\"}, \"min_size\": 0, \"seed\": 3}";

    @TempDir
    Path folder;

    private FaultyStore store;
    private Server server;

    @BeforeEach
    void start() {
        store = new FaultyStore(JdbcSnapshotStore.h2(folder));
        server = new Server(store, Server.LIMITS, 1 << 26);
    }

    @AfterEach
    void stop() {
        store.broken = false;
        store.heldUp = false;
        store.permits.release(1000);
        server.close();
    }

    private void killAndStart() {
        server.kill();
        start();
    }

    private static byte[] gradient(int step) {
        return Server.body("w", new float[] {step, 0.5f * step, -1}, "v", new float[] {0.1f * step});
    }

    private Session create(String optimizer, String durability, String state) {
        var session = server.create(SESSION.formatted(optimizer, durability, state));
        Server.upload(session, gradient(3));
        return session;
    }

    private static void steps(Session session, int from, int to) {
        for (int step = from; step <= to; step++) {
            Server.step(session, step, gradient(step));
        }
    }

    private Fork fork(Session session, String request) {
        return server.sessions.fork(session.id(), Server.object(request));
    }

    private static List<String> slots(List<Fork.Line> lines) {
        return lines.stream().map(Fork.Line::slot).toList();
    }

    private void assertGoOnAlike(Session one, Session other, int from) {
        assertThat(Server.get(other.digest())).isEqualTo(Server.get(one.digest()));
        for (int step = from; step < from + 3; step++) {
            assertThat(Server.step(other, step, gradient(step)).deltas())
                    .isEqualTo(Server.step(one, step, gradient(step)).deltas());
        }
        assertThat(Server.get(other.digest())).isEqualTo(Server.get(one.digest()));
    }

    @ParameterizedTest
    @ValueSource(strings = {"f32", "bf16", "int8"})
    void isTheSameSessionUnderAnotherId(String format) {
        var session = create("adamw", "none", CODED.formatted(format));
        steps(session, 1, 5);
        var fork = fork(session, "{\"name\": \"twin\"}");
        assertThat(fork.step()).isEqualTo(5);
        assertThat(fork.source()).isEqualTo(session.id());
        assertThat(fork.session().id()).isNotEqualTo(session.id());
        assertThat(fork.session().status().description()).containsEntry("name", "twin");
        assertThat(slots(fork.translation().carried())).containsExactly("exp_avg", "exp_avg_sq", "average");
        assertThat(fork.translation().fresh()).isEmpty();
        assertThat(fork.translation().dropped()).isEmpty();
        assertThat(fork.translation().steps()).isEqualTo("carried");
        assertGoOnAlike(session, fork.session(), 6);
    }

    @Test
    void leavesItsSourceAlone() {
        var session = create("adamw", "none", F32);
        steps(session, 1, 5);
        var before = Server.get(session.digest());
        steps(fork(session, "{}").session(), 6, 9);
        assertThat(Server.get(session.digest())).isEqualTo(before);
    }

    @ParameterizedTest
    @CsvSource({"none,snapshot", "snapshot,snapshot", "journal,journal", "snapshot,journal", "journal,none"})
    void isDurableOnceItIsThere(String durability, String ofFork) {
        var session = create("adamw", durability, F32);
        steps(session, 1, 5);
        var forked = fork(session, "{\"durability\": \"%s\"}".formatted(ofFork));
        var digest = Server.get(session.digest());
        assertThat(forked.session().status().durableStep()).isEqualTo(ofFork.equals("none") ? 0 : 5);
        killAndStart();
        if (ofFork.equals("none")) {
            assertThatThrownBy(() -> server.sessions.find(forked.session().id())).isInstanceOf(ServiceException.class);
            return;
        }
        var back = server.sessions.find(forked.session().id());
        assertThat(Server.get(back.digest())).isEqualTo(digest);
        steps(back, 6, 8);
        var twin = create("adamw", "none", F32);
        steps(twin, 1, 8);
        assertThat(Server.get(back.digest())).isEqualTo(Server.get(twin.digest()));
    }

    @Test
    void isNotThereWhenItsFirstSnapshotFailed() {
        var session = create("adamw", "none", F32);
        steps(session, 1, 5);
        store.broken = true;
        assertThatThrownBy(() -> fork(session, "{\"durability\": \"snapshot\"}")).hasMessageContaining("the disk is full");
        store.broken = false;
        assertThat(server.sessions.count()).isOne();
        assertThat(store.sessions()).isEmpty();
        steps(session, 6, 6);
    }

    @ParameterizedTest
    @ValueSource(strings = {"snapshot", "journal"})
    void isNotThereAfterAKillBeforeItsSnapshotWasComplete(String durability) throws InterruptedException {
        var session = create("adamw", "snapshot", F32);
        steps(session, 1, 5);
        store.heldUp = true;
        int begun = store.begun.get();
        var forking = CompletableFuture.runAsync(() -> fork(session, "{\"durability\": \"%s\"}".formatted(durability)));
        while (store.begun.get() == begun) {
            Thread.onSpinWait();
        }
        assertThat(store.sessions()).as("the row is there").hasSize(2);
        server.kill();
        store.permits.release(1000);
        assertThat(forking).failsWithin(Duration.ofSeconds(30));
        start();
        assertThat(server.sessions.count()).isOne();
        assertThat(store.sessions()).extracting(stored -> stored.id()).containsExactly(session.id());
    }

    @Test
    void goesOnFromASnapshotWhileTheSessionIsElsewhere() {
        var session = create("adamw", "none", F32);
        steps(session, 1, 3);
        var snapshot = Server.get(session.snapshot());
        steps(session, 4, 6);
        var fork = fork(session, "{\"snapshot\": \"%s\"}".formatted(snapshot.id()));
        assertThat(fork.snapshot()).isEqualTo(snapshot.id());
        assertThat(fork.step()).isEqualTo(3);
        assertThat(Server.get(fork.session().digest()).digest()).isEqualTo(snapshot.digest());
        steps(fork.session(), 4, 6);
        assertThat(Server.get(fork.session().digest())).isEqualTo(Server.get(session.digest()));
    }

    /// Whether weight decay is on decides the program, not what is kept.
    @Test
    void takesOtherHyperparametersToASnapshot() {
        var session = create("adamw", "none", F32);
        steps(session, 1, 3);
        var snapshot = Server.get(session.snapshot());
        var fork = fork(session, "{\"snapshot\": \"%s\", \"optimizer\": {\"weight_decay\": 0, \"betas\": [0.5, 0.9]}}"
                .formatted(snapshot.id()));
        assertThat(optimizer(fork.session())).containsEntry("weight_decay", 0.0).containsEntry("beta1", 0.5).containsEntry("lr", 0.01);
        assertThat(Server.get(fork.session().digest()).digest()).isEqualTo(snapshot.digest());
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> optimizer(Session session) {
        return (Map<String, Object>) session.status().description().get("optimizer");
    }

    @Test
    void goesOnFromASnapshotOfALostSession() throws Exception {
        var session = create("adamw", "snapshot", F32);
        steps(session, 1, 3);
        var good = Server.get(session.snapshot());
        steps(session, 4, 5);
        Server.get(session.snapshot());
        server.close();
        try (var database = DriverManager.getConnection("jdbc:h2:file:" + folder.resolve("stepd"), "stepd", "");
                var update = database.createStatement()) {
            update.executeUpdate("UPDATE snapshots SET digest = 'sha256:0' WHERE step = 5");
        }
        start();
        var lost = server.sessions.find(session.id());
        assertThat(lost.status().status()).contains("failed");
        assertThatThrownBy(() -> fork(lost, "{}")).hasMessageContaining("restore one of its snapshots");
        var fork = fork(lost, "{\"snapshot\": \"%s\"}".formatted(good.id()));
        assertThat(Server.get(fork.session().digest()).digest()).isEqualTo(good.digest());
        var lion = fork(lost, "{\"snapshot\": \"%s\", \"optimizer\": {\"name\": \"lion\"}}".formatted(good.id()));
        assertThat(slots(lion.translation().carried())).contains("exp_avg");
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void takesWhatMeansTheSameToAnotherOptimizer(boolean fromSnapshot) {
        var session = create("adamw", "none", F32);
        steps(session, 1, 5);
        var from = fromSnapshot ? "\"snapshot\": \"%s\", ".formatted(Server.get(session.snapshot()).id()) : "";
        var fork = fork(session, "{%s\"optimizer\": {\"name\": \"lion\", \"lr\": 0.001}}".formatted(from));
        assertThat(fork.translation().carried()).extracting(Fork.Line::toString).containsExactly(
                "Line[slot=exp_avg, reason=running mean of gradients, tensors=2]",
                "Line[slot=average, reason=the same slot of ema, tensors=2]");
        assertThat(fork.translation().fresh()).isEmpty();
        assertThat(fork.translation().dropped()).extracting(Fork.Line::toString).containsExactly(
                "Line[slot=exp_avg_sq, reason=lion keeps nothing that means the same, tensors=2]");
        assertThat(fork.translation().steps()).isEqualTo("carried");
        assertThat(optimizer(fork.session())).containsEntry("beta2", 0.99).containsEntry("lr", 0.001);
        assertThat(Server.read(fork.session().state()).get("w#exp_avg")).isEqualTo(Server.read(session.state()).get("w#exp_avg"));
        assertThat(Server.read(fork.session().parameters())).isEqualTo(Server.read(session.parameters()));
        assertThat(fork.session().status().step()).isEqualTo(5);
        steps(fork.session(), 6, 8);
    }

    /// With a second moment of nothing and the correction of step 6, the first step would be far too long.
    @Test
    void startsAnewWhereTheCountOfStepsWouldBeWrong() {
        var session = create("lion", "none", F32);
        steps(session, 1, 5);
        var fork = fork(session, "{\"optimizer\": {\"name\": \"adamw\", \"lr\": 0.01}, \"durability\": \"snapshot\"}");
        assertThat(fork.translation().carried()).isEmpty();
        assertThat(slots(fork.translation().fresh())).containsExactly("exp_avg", "exp_avg_sq", "average");
        assertThat(fork.translation().steps()).isEqualTo(
                "counted from 0: exp_avg_sq starts anew, and the step makes up for its start by the count of steps");
        var anew = create("adamw", "none", F32);
        Server.upload(anew, Server.sent(session.parameters()));
        for (int step = 6; step < 9; step++) {
            assertThat(Server.step(fork.session(), step, gradient(step)).deltas())
                    .isEqualTo(Server.step(anew, step - 5, gradient(step)).deltas());
        }
        killAndStart();
        assertThat(((LiveSession) server.sessions.find(fork.session().id()).life()).stepper().tensorSteps())
                .containsExactly(0L, 0L);
    }

    @ParameterizedTest
    @ValueSource(strings = {"int8", "bf16", "f16", "fp8", "int4"})
    void changesFormats(String format) {
        var session = create("lion", "none", CODED.formatted(format));
        steps(session, 1, 5);
        var plain = fork(session, "{\"state\": %s}".formatted(F32)).session();
        var state = Server.read(session.plainState());
        assertThat(Server.read(plain.state())).isEqualTo(state);
        var back = fork(plain, "{\"state\": %s}".formatted(CODED.formatted(format)));
        assertThat(back.translation().carried().getFirst().reason()).isEqualTo("the same slot of lion, f32 to " + format);
        assertThat(Server.sent(back.session().state())).as("where the largest of a block is positive, what was decoded encodes as it was").isEqualTo(Server.sent(session.state()));
        steps(back.session(), 6, 8);
    }

    @Test
    void takesTheFormatThatAPresetStandsFor() {
        var session = server.create("""
                {"optimizer": {"name": "adam"}, "durability": "none", "tensors": [{"name": "w", "shape": [3]}]}""");
        Server.upload(session, Server.body("w", new float[] {1, 2, 3}));
        var fork = fork(session, "{\"optimizer\": {\"name\": \"adamw8bit\", \"min_8bit_size\": 0}}");
        assertThat(fork.session().status().description().get("state").toString()).contains("format=int8");
        assertThat(fork.translation().carried().getFirst().reason()).isEqualTo("running mean of gradients, f32 to int8");
    }

    @Test
    void needsNoParameters() {
        var session = server.create("""
                {"optimizer": {"name": "sgd", "momentum": 0.9}, "durability": "snapshot", "tensors": [{"name": "w", "shape": [2]}]}""");
        Server.step(session, 1, Server.body("w", new float[] {1, 2}));
        var fork = fork(session, "{}").session();
        assertThat(fork.status().hasParameters()).isFalse();
        assertThat(Server.get(fork.digest())).isEqualTo(Server.get(session.digest()));
        assertThatThrownBy(() -> fork(session, "{\"optimizer\": {\"name\": \"madgrad\"}}"))
                .satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(ErrorCode.PARAMETERS_MISSING));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "{'snapshot': 'none'}|has no snapshot none",
        "{'shape': 1}|shape",
        "{'optimizer': {'name': 'adamv'}}|did you mean",
        "{'optimizer': {'weight_dekay': 1}}|weight_decay",
        "{'optimizer': {'momentum': 1}}|momentum",
        "{'device': 'gpu'}|did you mean \"cuda\"",
        "{'durability': 'always'}|durability is always",
        "{'state': {'format': 'int7'}}|did you mean \"int8\""})
    void refusesWhatMakesNoSense(String request, String message) {
        var session = create("adamw", "none", F32);
        assertThatThrownBy(() -> fork(session, request.replace('\'', '"')))
                .isInstanceOf(ServiceException.class).hasMessageContaining(message);
        assertThat(server.sessions.count()).isOne();
    }

    /// Groups stay, with hyperparameters that another optimizer may not know.
    @Test
    void refusesGroupsOfAnotherOptimizer() {
        var session = server.create("""
                {"optimizer": {"name": "sgd", "momentum": 0.9}, "durability": "none", "groups": [{"match": "w", "momentum": 0.5}],
                 "tensors": [{"name": "w", "shape": [2]}]}""");
        assertThatThrownBy(() -> fork(session, "{\"optimizer\": {\"name\": \"adamw\"}}"))
                .hasMessageContaining("groups[0]").hasMessageContaining("momentum");
    }

    /// While others have the room a sleeping session is copied as it lies, and woken only where its state changes.
    @Test
    void comesFromSessionsThatSleep() {
        server.close();
        store = new FaultyStore(JdbcSnapshotStore.h2(folder));
        var limits = new Sessions.Limits(1 << 20, 1L << 30, 1000, Duration.ZERO);
        server = new Server(store, new Journals(folder.resolve("journal"), 1 << 20), limits,
                new Engine(new CpuDevice(1_300_000, 2)), folder.resolve("spool"));
        var session = large();
        Server.step(session, 1, Server.body("w", new float[40000]));
        var digest = Server.get(session.digest());
        while (session.status().tier().equals("device")) {
            large();
        }
        var fork = fork(session, "{}").session();
        assertThat(session.status().tier()).isEqualTo("disk");
        assertThat(Server.get(fork.digest())).isEqualTo(digest);
        while (session.status().tier().equals("device")) {
            large();
        }
        var lion = fork(session, "{\"optimizer\": {\"name\": \"lion\", \"weight_decay\": 0}}");
        assertThat(slots(lion.translation().carried())).containsExactly("exp_avg");
        assertThat(Server.get(session.digest())).isEqualTo(digest);
    }

    private Session large() {
        return server.create("""
                {"optimizer": {"name": "adamw", "weight_decay": 0}, "durability": "none", "tensors": [{"name": "w", "shape": [40000]}]}""");
    }

    @Test
    void refusesWhatMemoryHasNoRoomFor() {
        server.close();
        store = new FaultyStore(JdbcSnapshotStore.h2(folder));
        server = new Server(store, Server.LIMITS, 1_300_000);
        var session = server.create("""
                {"optimizer": {"name": "adamw", "weight_decay": 0}, "durability": "none", "tensors": [{"name": "w", "shape": [60000]}]}""");
        var before = Server.get(session.digest());
        assertThatThrownBy(() -> fork(session, "{}"))
                .satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(ErrorCode.OUT_OF_MEMORY));
        assertThat(server.sessions.count()).isOne();
        assertThat(Server.get(session.digest())).isEqualTo(before);
    }
}
