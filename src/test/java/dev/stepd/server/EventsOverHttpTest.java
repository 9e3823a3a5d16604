package dev.stepd.server;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.server.EventReader.Told;
import dev.stepd.server.RunningServer.Call;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/// Streams of events of a real server, read from sockets.
@Timeout(120)
class EventsOverHttpTest {
    private static final String SESSION = """
            {"optimizer": {"name": "sgd", "lr": 0.5}, "tensors": [{"name": "w", "shape": [2]}], "durability": "none",
             "metrics": "norms", "clip": {"global_norm": 2.5}, "non_finite": "skip"}""";

    @TempDir
    Path data;

    private RunningServer server;
    private String session;

    @BeforeEach
    void start() {
        server = RunningServer.start(data, Map.of("event-stream-limit", "3", "event-keep-alive", "100ms"));
        session = server.session(SESSION);
    }

    @AfterEach
    void end() {
        server.close();
    }

    private EventReader open() throws Exception {
        var reader = EventReader.open(server.address(), session);
        assertThat(reader.status()).isEqualTo(200);
        assertThat(reader.block()).as("what a stream begins with").containsKey("retry");
        return reader;
    }

    private void step(String gradient) {
        var response = server.send(Call.json("POST", session + "/steps", "{\"gradients\": {\"w\": " + gradient + "}}"));
        assertThat(response.statusCode()).as(new String(response.body())).isEqualTo(200);
    }

    private void steps(int count) {
        for (int i = 0; i < count; i++) {
            step("[1, 1]");
        }
    }

    private static List<Long> numbers(List<Told> events) {
        return events.stream().map(event -> event.data().get("step").asLong()).toList();
    }

    @Test
    void stepsAreTold() throws Exception {
        server.send(Call.json("PUT", session + "/parameters", "{\"parameters\": {\"w\": [3, 4]}}"));
        try (var reader = open()) {
            assertThat(reader.header("Content-Type")).startsWith("text/event-stream");
            assertThat(reader.header("Cache-Control")).isEqualTo("no-store");
            step("[3, 4]");
            var step = reader.next();
            assertThat(step.name()).isEqualTo("step");
            var told = step.data();
            assertThat(told.get("step").asLong()).isEqualTo(1);
            assertThat(told.get("lr").asDouble()).isEqualTo(0.5);
            assertThat(told.get("grad_norm").asDouble()).isEqualTo(5);
            assertThat(told.get("clip").asDouble()).isEqualTo(2.5 / (5 + 1e-6));
            assertThat(told.get("update_norm").asDouble()).isCloseTo(1.25, org.assertj.core.api.Assertions.within(1e-6));
            assertThat(told.get("param_norm").asDouble()).isCloseTo(3.75, org.assertj.core.api.Assertions.within(1e-6));
            assertThat(told.get("non_finite").isEmpty()).isTrue();
            assertThat(told.get("timings").fieldNames()).toIterable().containsExactlyInAnyOrder("recv", "queue", "compute");
        }
    }

    @Test
    void theReplyOfAStepHasItsNorms() {
        var reply = server.send(Call.json("POST", session + "/steps", "{\"gradients\": {\"w\": [0.6, 0.8]}}"));
        assertThat(RunningServer.json(reply).get("update_norm").asDouble()).isCloseTo(0.5, org.assertj.core.api.Assertions.within(1e-6));
        assertThat(RunningServer.json(reply).has("param_norm")).as("without parameters").isFalse();
        var plain = server.session(SESSION.replace("\"norms\"", "\"gradient\""));
        var without = server.send(Call.json("POST", plain + "/steps", "{\"gradients\": {\"w\": [0.6, 0.8]}}"));
        assertThat(RunningServer.json(without).has("update_norm")).isFalse();
    }

    @Test
    void whatIsNotFiniteIsCounted() throws Exception {
        var nan = ("{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}").getBytes();
        var body = java.nio.ByteBuffer.allocate(16 + nan.length).order(java.nio.ByteOrder.LITTLE_ENDIAN)
                .putLong(nan.length).put(nan).putFloat(Float.NaN).putFloat(1).array();
        try (var reader = open()) {
            assertThat(server.send(Call.tensors("POST", session + "/steps", body)).statusCode()).isEqualTo(200);
            var told = reader.next().data();
            assertThat(told.get("non_finite").get("w").asLong()).isEqualTo(1);
            assertThat(told.get("grad_norm").isNull()).isTrue();
            assertThat(told.get("update_norm").asDouble()).isZero();
            steps(1);
            assertThat(reader.next().data().get("non_finite").isEmpty()).isTrue();
        }
        step("[300, 400]");
        var metrics = new String(server.send(Call.of("GET", "/prometheus")).body());
        assertThat(metrics).containsPattern("stepd_nonfinite_total(\\{[^}]*})? 1").containsPattern("stepd_clipped_total(\\{[^}]*})? 1");
    }

    @Test
    void whoComesBackGoesOnWhereHeLeft() throws Exception {
        List<Told> first;
        try (var reader = open()) {
            steps(3);
            first = reader.next(2);
        }
        steps(2);
        try (var again = EventReader.open(server.address(), session, first.getLast().id())) {
            assertThat(numbers(again.next(3))).containsExactly(3L, 4L, 5L);
        }
        try (var byQuery = new EventReader(server.address(), session + "/events?last_event_id=0", null, 0)) {
            assertThat(numbers(byQuery.next(5))).containsExactly(1L, 2L, 3L, 4L, 5L);
        }
    }

    @Test
    void whatIsNoLongerKeptIsAGap() throws Exception {
        String id;
        try (var reader = open()) {
            steps(1);
            id = reader.next().id();
        }
        steps(1100);
        try (var again = EventReader.open(server.address(), session, id)) {
            var gap = again.next();
            assertThat(gap.name()).isEqualTo("gap");
            assertThat(gap.data().get("missed").asLong()).isEqualTo(1100 - 1024);
            assertThat(numbers(again.next(2))).containsExactly(78L, 79L);
        }
    }

    @Test
    void aReaderTooSlowMissesEventsAndHoldsNobodyUp() throws Exception {
        try (var reader = new EventReader(server.address(), session + "/events", null, 4096)) {
            assertThat(reader.status()).isEqualTo(200);
            long written = 0;
            Told event = null;
            while (event == null && written < 200_000) {
                steps(2000);
                written += 2000;
                event = firstGap(reader, written);
            }
            assertThat(event).as("after " + written + " steps").isNotNull();
            assertThat(event.data().get("missed").asLong()).isPositive();
        }
    }

    /// Reads what is there only when the server has written far more than sockets hold.
    private static Told firstGap(EventReader reader, long written) {
        if (written < 40_000) {
            return null;
        }
        long last = 0;
        for (var event = reader.next(); event != null; event = reader.next()) {
            if (event.name().equals("gap")) {
                return event;
            }
            last = event.data().get("step").asLong();
            if (last == written) {
                return null;
            }
        }
        return null;
    }

    @Test
    void otherThingsAreTold() throws Exception {
        var durable = server.session(SESSION.replace("\"none\"", "\"snapshot\""));
        try (var reader = EventReader.open(server.address(), durable)) {
            server.send(Call.json("POST", durable + "/steps", "{\"gradients\": {\"w\": [1, 1]}}"));
            var snapshot = RunningServer.json(server.send(Call.of("POST", durable + "/snapshots")));
            server.send(Call.json("PATCH", durable, "{\"optimizer\": {\"lr\": 0.25}}"));
            server.send(Call.json("POST", durable + "/restore", "{\"snapshot\": \"" + snapshot.get("id").asText() + "\"}"));
            assertThat(reader.next().name()).isEqualTo("step");
            var taken = reader.next();
            assertThat(taken.name()).isEqualTo("snapshot");
            assertThat(taken.data().get("id")).isEqualTo(snapshot.get("id"));
            assertThat(taken.data().get("bytes")).isEqualTo(snapshot.get("bytes"));
            assertThat(reader.next().name()).isEqualTo("reconfigured");
            var restored = reader.next();
            assertThat(restored.name()).isEqualTo("restore");
            assertThat(restored.data().get("snapshot")).isEqualTo(snapshot.get("id"));
            assertThat(restored.data().get("step").asLong()).isEqualTo(1);
        }
    }

    @Test
    void deletionEndsTheStream() throws Exception {
        try (var reader = open()) {
            assertThat(server.send(Call.of("DELETE", session)).statusCode()).isEqualTo(204);
            assertThat(reader.next().name()).isEqualTo("deleted");
            assertThat(reader.next()).isNull();
        }
        assertThat(server.send(Call.of("GET", session + "/events")).statusCode()).isEqualTo(404);
    }

    @Test
    void silenceIsKeptAlive() throws Exception {
        try (var reader = open()) {
            assertThat(reader.block()).as("a comment").containsKey("");
            steps(1);
            assertThat(reader.next().name()).isEqualTo("step");
        }
    }

    @Test
    void thereAreOnlySoManyStreams() throws Exception {
        try (var one = open(); var two = open()) {
            try (var three = open()) {
                var refused = server.send(Call.of("GET", session + "/events"));
                assertThat(refused.statusCode()).isEqualTo(429);
                assertThat(RunningServer.json(refused).get("detail").asText()).contains("3");
                assertThat(refused.headers().firstValue("Retry-After")).isPresent();
                assertThat(three.status()).isEqualTo(200);
            }
            awaitOpen(2); // whoever goes is noticed
            open().close();
        }
        awaitOpen(0);
    }

    private void awaitOpen(int count) {
        var sessions = server.bean(dev.stepd.session.Sessions.class);
        long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
        while (sessions.eventStreams() != count && System.nanoTime() < end) {
            Thread.onSpinWait();
        }
        assertThat(sessions.eventStreams()).isEqualTo(count);
    }

    @Test
    void idsThatNobodyToldAreRefused() throws Exception {
        String known;
        try (var reader = open()) {
            steps(1);
            known = reader.next().id();
        }
        for (var id : List.of("5", "x", "-1", known + "0", known + "x")) {
            var refused = server.send(Call.of("GET", session + "/events").header("Last-Event-ID", id));
            assertThat(refused.statusCode()).as(id).isEqualTo(400);
            assertThat(RunningServer.json(refused).get("detail").asText()).contains(id);
        }
        var twice = server.send(Call.of("GET", session + "/events?last_event_id=0").header("Last-Event-ID", known));
        assertThat(twice.statusCode()).isEqualTo(400);
    }

    /// In a process of its own: ids of one server mean nothing to the next, and SIGTERM ends streams.
    @Test
    void aRestartIsRecognisedAndTheEndIsClean(@TempDir Path folder) throws Exception {
        var description = SESSION.replace("\"none\"", "\"journal\"");
        String path;
        String id;
        var flags = new String[] {"--data", folder.resolve("data").toString()};
        try (var process = ServerProcess.start(folder, Map.of(), flags)) {
            path = "/v1/sessions/" + process.send("POST", "/v1/sessions", description).body().get("id").asText();
            try (var reader = EventReader.open(URI.create(process.address()), path)) {
                process.send("POST", path + "/steps", "{\"gradients\": {\"w\": [1, 1]}}");
                id = reader.next().id();
                assertThat(process.end()).isZero();
                for (var event = reader.next(); event != null; event = reader.next()) {
                    assertThat(event.name()).isEqualTo("snapshot");
                }
            }
        }
        try (var process = ServerProcess.start(folder, Map.of(), flags);
                var reader = EventReader.open(URI.create(process.address()), path, id)) {
            var gap = reader.next();
            assertThat(gap.name()).isEqualTo("gap");
            assertThat(gap.data().get("missed").isNull()).isTrue();
            process.send("POST", path + "/steps", "{\"gradients\": {\"w\": [1, 1]}}");
            assertThat(reader.next().data().get("step").asLong()).isEqualTo(2);
        }
    }
}
