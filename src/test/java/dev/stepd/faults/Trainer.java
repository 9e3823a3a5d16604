package dev.stepd.faults;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;

/// A client that trains one session through every end of its server, and now and then does what clients do wrong. It knows what was
/// answered, and holds the server to it: nothing of that is lost, nothing is taken twice. Gradients of a few numbers are sent as JSON.
final class Trainer implements Callable<Long> {
    /// What is promised of answered steps.
    enum Promise {
        /// `durability: journal`: none is lost.
        EVERY_STEP("journal"),
        /// `durability: snapshot`: none up to the durable step that was told.
        DURABLE_STEP("snapshot");

        private final String durability;

        Promise(String durability) {
            this.durability = durability;
        }
    }

    private enum Habit {
        PLAIN,
        /// The same again, as after a lost answer.
        REPEATS,
        /// The same twice at once.
        DOUBLES,
        /// The step after the next one first.
        HURRIES,
        /// Half a body, and gone.
        BREAKS_OFF,
        /// Another body for a step that was taken.
        CONTRADICTS
    }

    private static final int OTHER = 1_000_003;
    private static final int JSON_ELEMENTS_MAX = 10;
    private static final long PATIENCE_SECONDS = 120;
    private static final String DESCRIPTION = """
            {"optimizer": {"name": "%s", "lr": 0.01}, "schedule": {"name": "cosine", "total_steps": 100000},
             "clip": {"global_norm": 1}, "durability": "%s", "snapshot_every": %d, "tensors": [{"name": "w", "shape": [%d]}]}""";

    private final Victim victim;
    private final Promise promise;
    private final String optimizer;
    private final int elements;
    private final Random random;
    private final String session;
    private long acknowledged;
    private long durable;
    /// Answered steps that were not replays, whatever became of them.
    private volatile long taken;
    private volatile long refused;

    Trainer(Victim victim, Promise promise, String optimizer, int elements, long seed) throws Exception {
        this.victim = victim;
        this.promise = promise;
        this.optimizer = optimizer;
        this.elements = elements;
        this.random = new Random(seed);
        this.session = create(victim.address(), promise.durability);
    }

    long taken() {
        return taken;
    }

    /// How often it was told to come again for want of room.
    long refused() {
        return refused;
    }

    /// The last step that was answered.
    long acknowledged() {
        return acknowledged;
    }

    /// The path of its session.
    String session() {
        return session;
    }

    String id() {
        return session.substring(session.lastIndexOf('/') + 1);
    }

    /// Takes so many steps on this thread, of a server that nothing happens to.
    void trainFor(int steps) throws Exception {
        for (long end = taken + steps; taken < end; ) {
            train(victim.address());
        }
    }

    /// Goes on from an earlier step, as a client that was told.
    void rewindTo(long step) {
        acknowledged = step;
    }

    /// Trains until there is no server any more.
    ///
    /// @return the last step that was answered and still holds
    @Override
    public Long call() throws Exception {
        for (var base = victim.address(); !base.isEmpty(); base = victim.address()) {
            try {
                look(base);
                while (!victim.isOver() && base.equals(victim.address())) {
                    train(base);
                }
            } catch (IOException gone) {
                victim.pause();
            }
        }
        return acknowledged;
    }

    /// Finds out where the session is, after whatever happened.
    private void look(String base) throws Exception {
        var status = Calls.json(Calls.send("GET", base + session, "", new byte[0], -1));
        var standing = status.get("status").asText();
        if (standing.startsWith("elsewhere")) { // until the lease of the server that was killed has passed
            throw new IOException(standing);
        }
        assertThat(standing).isEqualTo("ready");
        long here = status.get("step").asLong();
        switch (promise) {
            case EVERY_STEP -> assertThat(here).as("answered are %d", acknowledged).isBetween(acknowledged, acknowledged + 1);
            case DURABLE_STEP -> {
                assertThat(here).as("durable are %d of %d", durable, acknowledged).isBetween(durable, acknowledged + 1);
                acknowledged = here;
            }
        }
    }

    private void train(String base) throws Exception {
        var habits = Habit.values();
        switch (random.nextInt(4) == 0 ? habits[random.nextInt(habits.length)] : Habit.PLAIN) {
            case PLAIN -> take(base);
            case REPEATS -> repeat(base);
            case DOUBLES -> twiceAtOnce(base);
            case HURRIES -> hurry(base);
            case BREAKS_OFF -> breakOff(base);
            case CONTRADICTS -> contradict(base);
        }
    }

    private void take(String base) throws Exception {
        var reply = step(base, acknowledged + 1);
        if (isTaken(reply)) {
            answered(reply);
        }
    }

    private void repeat(String base) throws Exception {
        var first = step(base, acknowledged + 1);
        if (isTaken(first)) {
            answered(first);
            var again = step(base, acknowledged);
            if (isTaken(again)) {
                assertThat(again.headers().firstValue("Stepd-Replayed")).contains("true");
                assertThat(again.body()).isEqualTo(first.body());
            }
        }
    }

    private void twiceAtOnce(String base) throws Exception {
        var request = Calls.request("POST", base + session + "/steps", type(), gradients(acknowledged + 1), acknowledged + 1);
        var pair = List.of(Calls.CLIENT.sendAsync(request, BodyHandlers.ofByteArray()), Calls.CLIENT.sendAsync(request, BodyHandlers.ofByteArray()));
        var replies = new ArrayList<HttpResponse<byte[]>>();
        IOException gone = null;
        for (var one : pair) {
            try {
                var reply = one.join();
                if (isTaken(reply)) {
                    replies.add(reply);
                }
            } catch (CompletionException e) {
                gone = e.getCause() instanceof IOException io ? io : new IOException(e.getCause());
            }
        }
        if (replies.size() == 2) {
            assertThat(replies.get(0).body()).isEqualTo(replies.get(1).body());
            assertThat(replies).as("taken once").anyMatch(reply -> reply.headers().firstValue("Stepd-Replayed").isPresent());
        }
        if (!replies.isEmpty()) {
            answered(replies.getFirst());
        }
        if (gone != null) {
            throw gone;
        }
    }

    private void hurry(String base) throws Exception {
        var early = step(base, acknowledged + 3);
        assertThat(early.statusCode()).as("%s", new String(early.body(), StandardCharsets.UTF_8)).isIn(409, 429, 503, 507);
        take(base);
    }

    private void contradict(String base) throws Exception {
        if (acknowledged == 0 || promise != Promise.EVERY_STEP) {
            return;
        }
        var other = Calls.send("POST", base + session + "/steps", type(), gradients(acknowledged + OTHER), acknowledged);
        var told = new String(other.body(), StandardCharsets.UTF_8);
        // 409 when the step after the answered one was taken too, whose answer the kill took
        assertThat(other.statusCode()).as(told).isIn(409, 422, 429, 503, 507);
    }

    private void breakOff(String base) throws IOException {
        var server = URI.create(base);
        var body = gradients(acknowledged + 1);
        try (var socket = new Socket(server.getHost(), server.getPort())) {
            var out = socket.getOutputStream();
            out.write(("POST " + session + "/steps HTTP/1.1\r\nHost: stepd\r\nContent-Type: " + type() + "\r\nStepd-Step: "
                    + (acknowledged + 1) + "\r\nContent-Length: " + body.length + "\r\n\r\n").getBytes(StandardCharsets.US_ASCII));
            out.write(body, 0, random.nextInt(body.length));
        }
    }

    /// Whether a step's reply is one; else the client was told to come again.
    private boolean isTaken(HttpResponse<byte[]> reply) throws InterruptedException {
        if (reply.statusCode() == 200) {
            return true;
        }
        var told = new String(reply.body(), StandardCharsets.UTF_8);
        assertThat(reply.statusCode()).as("step %d: %s", acknowledged + 1, told).isIn(503, 507, 429);
        refused++;
        victim.pause();
        return false;
    }

    private void answered(HttpResponse<byte[]> reply) {
        assertThat(reply.headers().firstValueAsLong("Stepd-Step").orElseThrow()).isEqualTo(acknowledged + 1);
        acknowledged++;
        durable = reply.headers().firstValueAsLong("Stepd-Durable-Step").orElseThrow();
        if (promise == Promise.EVERY_STEP) {
            assertThat(durable).isGreaterThanOrEqualTo(acknowledged);
        }
        taken++;
    }

    /// Holds the session to one that takes the same steps undisturbed.
    ///
    /// @param steps as [#call] told
    void assertLikeUndisturbed(String base, long steps) throws Exception {
        long here = told(base + session).get("step").asLong();
        assertThat(here).isBetween(steps, steps + 1);
        var twin = create(base, "none");
        for (long step = 1; step <= here; ) {
            var reply = Calls.send("POST", base + twin + "/steps?return=none", Calls.SAFETENSORS, values(step), step);
            step += isTaken(reply) ? 1 : 0;
        }
        assertThat(told(base + session + "/digest")).as("%s, %d steps", optimizer, here).isEqualTo(told(base + twin + "/digest"));
        Calls.send("DELETE", base + twin, "", new byte[0], -1);
    }

    /// Asks until it is told, of a server that nothing happens to any more.
    private JsonNode insist(String method, String target, String type, byte[] body) throws Exception {
        for (long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS); ; victim.pause()) {
            try {
                return Calls.json(Calls.send(method, target, type, body, -1));
            } catch (IOException later) {
                if (System.nanoTime() > until) {
                    throw later;
                }
            }
        }
    }

    private JsonNode told(String target) throws Exception {
        return insist("GET", target, "", new byte[0]);
    }

    private String create(String base, String durability) throws Exception {
        var description = DESCRIPTION.formatted(optimizer, durability, 5 + random.nextInt(40), elements);
        var created = insist("POST", base + "/v1/sessions", "application/json", description.getBytes(StandardCharsets.UTF_8));
        var path = "/v1/sessions/" + created.get("id").asText();
        insist("PUT", base + path + "/parameters", Calls.SAFETENSORS, values(0));
        return path;
    }

    private HttpResponse<byte[]> step(String base, long number) throws Exception {
        return Calls.send("POST", base + session + "/steps", type(), gradients(number), number);
    }

    /// Asks for a snapshot; whatever comes of it.
    void askForSnapshot(String base) {
        var request = Calls.request("POST", base + session + "/snapshots", "", new byte[0], -1);
        Calls.CLIENT.sendAsync(request, BodyHandlers.discarding());
    }

    /// Asks for a fork; whatever comes of it.
    void askForFork(String base) {
        var request = Calls.request("POST", base + session + "/forks", "application/json", "{}".getBytes(StandardCharsets.UTF_8), -1);
        Calls.CLIENT.sendAsync(request, BodyHandlers.discarding());
    }

    private String type() {
        return elements <= JSON_ELEMENTS_MAX ? "application/json" : Calls.SAFETENSORS;
    }

    private byte[] gradients(long number) {
        if (elements > JSON_ELEMENTS_MAX) {
            return values(number);
        }
        var values = new Random(number);
        var numbers = IntStream.range(0, elements).mapToObj(i -> Float.toString(values.nextFloat() - 0.5f)).toList();
        return ("{\"gradients\": {\"w\": " + numbers + "}}").getBytes(StandardCharsets.US_ASCII);
    }

    /// What follows from the step's number.
    private byte[] values(long number) {
        var header = "{\"w\":{\"dtype\":\"F32\",\"shape\":[%d],\"data_offsets\":[0,%d]}}".formatted(elements, elements * Float.BYTES)
                .getBytes(StandardCharsets.US_ASCII);
        var body = ByteBuffer.allocate(Long.BYTES + header.length + elements * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        body.putLong(header.length).put(header);
        var values = new Random(number);
        for (int i = 0; i < elements; i++) {
            body.putFloat(values.nextFloat() - 0.5f);
        }
        return body.array();
    }
}
