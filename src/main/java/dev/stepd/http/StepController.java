package dev.stepd.http;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.session.Incoming;
import dev.stepd.session.Session;
import dev.stepd.session.Sessions;
import dev.stepd.session.StepAnswer;
import dev.stepd.session.StepOrder;
import dev.stepd.tensor.DType;
import io.micronaut.http.HttpResponse;
import io.micronaut.http.MediaType;
import io.micronaut.http.MutableHttpResponse;
import io.micronaut.http.ServerHttpRequest;
import io.micronaut.http.annotation.Consumes;
import io.micronaut.http.annotation.Controller;
import io.micronaut.http.annotation.Post;
import io.micronaut.http.annotation.Produces;
import java.io.InputStream;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/// The hot path: gradients in, deltas out. Runs on the connection's event loop; the session answers from its own.
@Controller("/v1/sessions/{id}/steps")
@Consumes(MediaType.ALL)
@Produces(MediaType.ALL)
final class StepController {
    private static final List<String> RETURNS = List.of("delta", "parameters", "none");

    private final Sessions sessions;
    private final BodyReceiver receiver;
    private final HttpSettings settings;
    private final Metrics metrics;

    StepController(Sessions sessions, BodyReceiver receiver, HttpSettings settings, Metrics metrics) {
        this.sessions = sessions;
        this.receiver = receiver;
        this.settings = settings;
        this.metrics = metrics;
    }

    @Post
    CompletableFuture<HttpResponse<?>> step(String id, ServerHttpRequest<?> request) {
        var reply = new CompletableFuture<HttpResponse<?>>();
        receiver.receive(request, length -> open(id, request, length)).whenComplete((answer, failure) -> {
            if (failure != null) {
                reply.completeExceptionally(Problems.unwrapped(failure));
            } else {
                answer(request, answer, reply);
            }
        });
        return reply;
    }

    private Incoming<StepAnswer> open(String id, ServerHttpRequest<?> request, long length) {
        var session = sessions.find(id);
        var query = QueryParameters.of(request, "return", "partial");
        var order = new StepOrder(
                number(request),
                query.flag("partial"),
                returned(request),
                length);
        var sent = Media.ofBody(request);
        if (Media.ofAnswer(request, sent) == Media.JSON && order.returned() != StepOrder.Return.NONE) {
            TensorJson.requireSmall(Wire.parameterBytes(session.status()), settings.jsonLimit());
        }
        return sent == Media.SAFETENSORS
                ? session.receiveStep(order)
                : new JsonBody<>(settings.jsonLimit(), bytes -> receiveJson(session, order, bytes));
    }

    private static CompletionStage<StepAnswer> receiveJson(Session session, StepOrder order, InputStream bytes) {
        try (var tensors = JsonTensors.read(bytes, "gradients", name -> DType.F32)) {
            var framed = new StepOrder(order.number(), order.partial(), order.returned(), tensors.byteCount());
            return tensors.pourInto(session.receiveStep(framed));
        }
    }

    private void answer(ServerHttpRequest<?> request, StepAnswer answer, CompletableFuture<HttpResponse<?>> reply) {
        metrics.step(answer);
        MutableHttpResponse<?> response;
        try {
            long begin = System.nanoTime();
            boolean asJson = Media.ofAnswer(request, Media.ofBody(request)) == Media.JSON;
            response = asJson ? Wire.json(HttpResponse.ok(), json(request, answer)) : HttpResponse.ok();
            headers(response, answer, System.nanoTime() - begin);
            if (!asJson) {
                metrics.sent(answer.message().byteCount());
                response.contentType(Media.SAFETENSORS_TYPE);
                response.body(TensorReply.body(request, answer.message(), answer::close));
            }
        } catch (RuntimeException failure) {
            answer.close();
            reply.completeExceptionally(new AnswerLost(answer.step(), failure));
            return;
        }
        if (!reply.complete(response)) {
            answer.close();
        }
    }

    private static byte[] json(ServerHttpRequest<?> request, StepAnswer answer) {
        try (answer) {
            var members = new LinkedHashMap<String, Object>();
            members.put("step", answer.step());
            members.put("lr", answer.lr());
            members.put("grad_norm", answer.gradNorm());
            putKnown(members, "update_norm", answer.metrics().updateNorm());
            putKnown(members, "param_norm", answer.metrics().paramNorm());
            return switch (returned(request)) {
                case NONE -> Json.bytes(members);
                case PARAMETERS -> TensorJson.bytes(members, "parameters", answer.message());
                case DELTA -> TensorJson.bytes(members, "deltas", answer.message());
            };
        }
    }

    private static void putKnown(Map<String, Object> members, String name, double norm) {
        if (!Double.isNaN(norm)) {
            members.put(name, norm);
        }
    }

    private static StepOrder.Return returned(ServerHttpRequest<?> request) {
        var name = QueryParameters.of(request, "return", "partial").choice("return", RETURNS);
        return StepOrder.Return.valueOf(name.toUpperCase(Locale.ROOT));
    }

    private static void headers(MutableHttpResponse<?> response, StepAnswer answer, long sendNanos) {
        response.header("Stepd-Step", Long.toString(answer.step()));
        response.header("Stepd-Lr", Double.toString(answer.lr()));
        response.header("Stepd-Grad-Norm", Double.toString(answer.gradNorm()));
        response.header("Stepd-Durable-Step", Long.toString(answer.durableStep()));
        if (answer.replayed()) {
            response.header("Stepd-Replayed", "true");
        }
        var timings = answer.timings();
        var timing = new StringBuilder(96);
        duration(timing, "recv", timings.receiveNanos());
        duration(timing.append(", "), "queue", timings.queueNanos());
        if (timings.wakeNanos() > 0) {
            duration(timing.append(", "), "wake", timings.wakeNanos());
        }
        duration(timing.append(", "), "compute", timings.computeNanos());
        duration(timing.append(", "), "send", sendNanos);
        response.header("Server-Timing", timing);
    }

    /// Milliseconds with three decimals.
    private static void duration(StringBuilder out, String name, long nanos) {
        long micros = Math.max(0, nanos) / 1000;
        long fraction = micros % 1000;
        out.append(name).append(";dur=").append(micros / 1000).append('.');
        out.append(fraction < 100 ? "0" : "").append(fraction < 10 ? "0" : "").append(fraction);
    }

    private static OptionalLong number(ServerHttpRequest<?> request) {
        var text = request.getHeaders().get("Stepd-Step");
        if (text == null) {
            return OptionalLong.empty();
        }
        try {
            long number = Long.parseLong(text.trim());
            if (number >= 1) {
                return OptionalLong.of(number);
            }
        } catch (NumberFormatException e) {
            // refused below, like zero
        }
        throw new ServiceException(ErrorCode.INVALID_REQUEST, "Stepd-Step is " + text + ", expected a whole number of at least 1");
    }
}
