package dev.stepd.server;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// A server that is killed at random moments while clients step: no step that was answered is lost, none is taken twice, and the end is that of
/// an undisturbed run. The seed is printed; `-Dstepd.faults.seed` and `-Dstepd.faults.kills` say otherwise.
class KilledServerTest {
    private static final int KILLS = Integer.getInteger("stepd.faults.kills", 15);
    private static final int STEPS_MAX = 100;
    private static final int MOMENT_MILLIS_MAX = 30;
    private static final String DESCRIPTION = """
            {"optimizer": {"name": "adamw", "lr": 0.01}, "schedule": {"name": "cosine", "total_steps": 100000},
             "clip": {"global_norm": 1}, "durability": "%s", "snapshot_every": 40, "tensors": [{"name": "w", "shape": [%d]}]}""";

    @TempDir
    Path folder;

    private final HttpClient client = HttpClient.newHttpClient();
    private volatile CompletableFuture<String> address = new CompletableFuture<>();
    private final AtomicReference<CountDownLatch> answered = new AtomicReference<>(new CountDownLatch(STEPS_MAX));
    private volatile boolean ending;

    /// What one client knows.
    private final class Trainer implements Callable<Long> {
        private final int elements;
        private final String session;
        private long acknowledged;

        Trainer(int elements) throws Exception {
            this.elements = elements;
            this.session = create(address.join(), "journal", elements);
        }

        /// Steps until told to end, through every restart.
        @Override
        public Long call() throws Exception {
            while (!ending) {
                var at = address;
                try {
                    long here = status(at.join()).get("step").asLong();
                    assertThat(here).as("answered are " + acknowledged).isBetween(acknowledged, acknowledged + 1);
                    stepOn(at.join());
                } catch (IOException killed) {
                    awaitAnother(at);
                }
            }
            return acknowledged;
        }

        private void stepOn(String base) throws Exception {
            boolean first = true;
            while (!ending) {
                var reply = step(base, session, acknowledged + 1, elements);
                assertThat(reply.statusCode()).as("step %d: %s", acknowledged + 1, new String(reply.body())).isEqualTo(200);
                long durable = reply.headers().firstValueAsLong("Stepd-Durable-Step").orElseThrow();
                assertThat(durable).isGreaterThanOrEqualTo(acknowledged + 1);
                assertThat(reply.headers().firstValue("Stepd-Replayed").isPresent()).as("replayed").isIn(first, false);
                acknowledged++;
                answered.get().countDown();
                first = false;
            }
        }

        private void awaitAnother(CompletableFuture<String> before) throws Exception {
            synchronized (KilledServerTest.this) {
                while (address == before && !ending) {
                    KilledServerTest.this.wait();
                }
            }
            address.get(60, TimeUnit.SECONDS);
        }

        JsonNode status(String base) throws Exception {
            return json(send("GET", base + session, "", new byte[0], -1));
        }

        void assertLikeUndisturbed(String base, long steps) throws Exception {
            long here = status(base).get("step").asLong();
            assertThat(here).isBetween(steps, steps + 1);
            var twin = create(base, "none", elements);
            for (long step = 1; step <= here; step++) {
                assertThat(step(base, twin, step, elements).statusCode()).isEqualTo(200);
            }
            assertThat(json(send("GET", base + session + "/digest", "", new byte[0], -1)))
                    .isEqualTo(json(send("GET", base + twin + "/digest", "", new byte[0], -1)));
            assertThat(status(base).get("status").asText()).isEqualTo("ready");
        }
    }

    @Test
    void losesNothingThatWasAnswered() throws Exception {
        long seed = Long.getLong("stepd.faults.seed", System.nanoTime());
        System.out.println("kills at random moments: -Dstepd.faults.seed=" + seed);
        var random = new Random(seed);
        var process = start();
        try (var threads = Executors.newCachedThreadPool()) {
            var trainers = List.of(new Trainer(3), new Trainer(40_000));
            var running = trainers.stream().map(threads::submit).toList();
            for (int kill = 0; kill < KILLS; kill++) {
                if (random.nextInt(4) > 0) { // else perhaps before the first
                    answered.get().await(30, TimeUnit.SECONDS);
                }
                assertThat(process.waitFor(random.nextInt(MOMENT_MILLIS_MAX), TimeUnit.MILLISECONDS)).isFalse();
                answered.set(new CountDownLatch(1 + random.nextInt(STEPS_MAX)));
                change(false);
                process.destroyForcibly().waitFor();
                process = start();
            }
            change(true);
            for (int i = 0; i < trainers.size(); i++) {
                long steps = running.get(i).get(60, TimeUnit.SECONDS);
                System.out.println(steps + " steps through " + KILLS + " kills");
                trainers.get(i).assertLikeUndisturbed(address.join(), steps);
            }
        } finally {
            change(true);
            process.destroyForcibly().waitFor();
        }
    }

    /// Another server is to come, or none.
    private synchronized void change(boolean end) {
        ending = end;
        if (!end) {
            address = new CompletableFuture<>();
        }
        notifyAll();
    }

    private Process start() throws IOException {
        var command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules=jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED", "-Xmx256m", "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1", "-cp", System.getProperty("java.class.path"), Stepd.class.getName(), "serve", "--port", "0",
                "--cuda", "off", "--journal-segment", "100KB", "--data", folder.resolve("data").toString()));
        var process = new ProcessBuilder(command).redirectError(Files.createTempFile(folder, "stderr", "").toFile()).start();
        var line = process.inputReader().readLine();
        assertThat(line).startsWith("stepd listening on http://127.0.0.1:");
        address.complete(line.substring(line.indexOf("http")));
        return process;
    }

    private String create(String base, String durability, int elements) throws Exception {
        var id = json(send("POST", base + "/v1/sessions", RunningServer.JSON, DESCRIPTION.formatted(durability, elements).getBytes(), -1)).get("id");
        var session = "/v1/sessions/" + id.asText();
        send("PUT", base + session + "/parameters", RunningServer.SAFETENSORS, values(0, elements), -1);
        return session;
    }

    private HttpResponse<byte[]> step(String base, String session, long number, int elements) throws Exception {
        return send("POST", base + session + "/steps", RunningServer.SAFETENSORS, values(number, elements), number);
    }

    private static byte[] values(long number, int elements) {
        var random = new Random(number);
        var values = new float[elements];
        for (int i = 0; i < elements; i++) {
            values[i] = random.nextFloat() - 0.5f;
        }
        return Tensors.f32("w", values);
    }

    private HttpResponse<byte[]> send(String method, String target, String type, byte[] body, long number) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(target)).timeout(Duration.ofSeconds(30))
                .method(method, body.length == 0 ? BodyPublishers.noBody() : BodyPublishers.ofByteArray(body));
        if (!type.isEmpty()) {
            request.header("Content-Type", type);
        }
        if (number > 0) {
            request.header("Stepd-Step", Long.toString(number));
        }
        return client.send(request.build(), BodyHandlers.ofByteArray());
    }

    private static JsonNode json(HttpResponse<byte[]> response) throws IOException {
        assertThat(response.statusCode()).as(new String(response.body())).isBetween(200, 201);
        return new ObjectMapper().readTree(response.body());
    }
}
