package dev.stepd.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;
import org.jspecify.annotations.Nullable;

/// The protocol of step numbers against a model of a few lines: whatever clients send in whatever order, a step is taken
/// once, answered the same each time, and never made from two bodies.
class StepProtocolTest {
    private static final String SUM = """
            {"optimizer": {"name": "sgd", "lr": 1, "momentum": 1}, "durability": "none",
             "tensors": [{"name": "w", "shape": [1]}]}""";
    private static final int NO_NUMBER = 99;

    /// @param offset of the number from the current step, or [#NO_NUMBER]
    /// @param gradient what the body holds
    /// @param cut whether the body breaks off
    record Post(int offset, float gradient, boolean cut) {}

    /// What a client may know: the last step, the body it was made from, its delta.
    private static final class Model {
        long step;
        float momentum;
        @Nullable Float lastBody;
        float lastDelta;
    }

    private static Path folder = Path.of("");
    private static @Nullable Server server;

    @BeforeContainer
    static void start() throws IOException {
        folder = Files.createTempDirectory("stepd-protocol");
        server = new Server(folder);
    }

    @AfterContainer
    static void stop() throws IOException {
        server.close();
        try (var files = Files.walk(folder)) {
            for (var file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }

    @Property(tries = 300)
    void behavesLikeTheModel(@ForAll("posts") List<Post> posts) {
        var session = server.create(SUM);
        var model = new Model();
        for (var post : posts) {
            check(session, model, post);
            assertThat(session.status().step()).isEqualTo(model.step);
        }
        server.sessions.delete(session.id());
    }

    @Provide
    Arbitrary<List<Post>> posts() {
        var offsets = Arbitraries.frequency(
                net.jqwik.api.Tuple.of(6, 1), net.jqwik.api.Tuple.of(4, 0), net.jqwik.api.Tuple.of(1, -1),
                net.jqwik.api.Tuple.of(1, 2), net.jqwik.api.Tuple.of(2, NO_NUMBER));
        var one = Combinators.combine(offsets, Arbitraries.of(1f, 2f), Arbitraries.frequency(
                net.jqwik.api.Tuple.of(6, false), net.jqwik.api.Tuple.of(1, true))).as(Post::new);
        return one.list().ofMinSize(1).ofMaxSize(40);
    }

    private static void check(Session session, Model model, Post post) {
        var number = post.offset() == NO_NUMBER ? OptionalLong.empty() : OptionalLong.of(model.step + post.offset());
        boolean next = post.offset() == 1 || post.offset() == NO_NUMBER;
        boolean again = post.offset() == 0 && model.lastBody != null;
        var body = Server.body("w", new float[] {post.gradient()});
        if (!next && !again) {
            assertRefused(session, number, body, ErrorCode.STEP_MISMATCH);
        } else if (post.cut()) {
            assertRefused(session, number, Arrays.copyOf(body, body.length - 1), ErrorCode.MALFORMED_BODY);
        } else if (again && model.lastBody != post.gradient()) {
            assertRefused(session, number, body, ErrorCode.STEP_BODY_DIFFERS);
        } else {
            if (next) {
                model.step++;
                model.momentum += post.gradient();
                model.lastBody = post.gradient();
                model.lastDelta = -model.momentum;
            }
            var reply = step(session, number, body);
            assertThat(reply.step()).isEqualTo(model.step);
            assertThat(reply.replayed()).isEqualTo(again);
            assertThat(reply.deltas().get("w")).containsExactly(model.lastDelta);
        }
    }

    private static Server.Reply step(Session session, OptionalLong number, byte[] body) {
        return Server.step(session, new StepOrder(number, false, StepOrder.Return.DELTA, -1), body);
    }

    private static void assertRefused(Session session, OptionalLong number, byte[] body, ErrorCode code) {
        assertThatThrownBy(() -> step(session, number, body)).satisfies(e -> assertThat(Server.codeOf(e)).isEqualTo(code));
    }

    /// Several clients that believe they are the only one, each repeating every step now and then.
    @Property(tries = 10)
    void takesEachStepOnceWhenClientsRace(@ForAll("sizes") int elements) throws Exception {
        var session = server.create(SUM.replace("[1]", "[" + elements + "]"));
        long steps = 60;
        var applied = new ConcurrentHashMap<Long, Float>();
        var failures = new AtomicInteger();
        try (var clients = Executors.newFixedThreadPool(4)) {
            var running = new ArrayList<java.util.concurrent.Future<?>>();
            for (int i = 0; i < 4; i++) {
                running.add(clients.submit(() -> drive(session, elements, steps, applied, failures)));
            }
            for (var client : running) {
                client.get();
            }
        }
        assertThat(failures).hasValue(0);
        assertThat(session.status().step()).isEqualTo(steps);
        assertThat(applied).hasSize((int) steps);
        float momentum = 0;
        for (long step = 1; step <= steps; step++) {
            momentum += step;
            assertThat(applied).contains(Map.entry(step, -momentum));
        }
        server.sessions.delete(session.id());
    }

    @Provide
    Arbitrary<Integer> sizes() {
        return Arbitraries.of(1, 1000, 40_000);
    }

    private static void drive(
            Session session, int elements, long steps, Map<Long, Float> applied, AtomicInteger failures) {
        for (long current = session.status().step(); current < steps; current = session.status().step()) {
            var gradient = new float[elements];
            Arrays.fill(gradient, current + 1);
            var body = ByteBuffer.wrap(Server.body("w", gradient));
            try (var incoming = session.receiveStep(
                    new StepOrder(OptionalLong.of(current + 1), false, StepOrder.Return.DELTA, body.remaining()))) {
                incoming.write(body);
                var reply = Server.reply(Server.get(incoming.finish()));
                var before = reply.replayed() ? null : applied.putIfAbsent(reply.step(), reply.deltas().get("w").getFirst());
                if (before != null || reply.step() != current + 1) {
                    failures.incrementAndGet();
                }
            } catch (ServiceException e) {
                if (e.code() != ErrorCode.STEP_MISMATCH) {
                    failures.incrementAndGet();
                }
            }
        }
    }
}
