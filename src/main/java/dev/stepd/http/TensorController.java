package dev.stepd.http;

import dev.stepd.session.Incoming;
import dev.stepd.session.Session;
import dev.stepd.session.Sessions;
import dev.stepd.tensor.DType;
import io.micronaut.http.HttpResponse;
import io.micronaut.http.MediaType;
import io.micronaut.http.ServerHttpRequest;
import io.micronaut.http.annotation.Consumes;
import io.micronaut.http.annotation.Controller;
import io.micronaut.http.annotation.Get;
import io.micronaut.http.annotation.Produces;
import io.micronaut.http.annotation.Put;
import java.io.InputStream;
import java.util.List;
import java.util.concurrent.CompletionStage;

/// Parameters and state of a session, up and down.
@Controller("/v1/sessions/{id}")
@Consumes(MediaType.ALL)
@Produces(MediaType.ALL)
final class TensorController {
    private final Sessions sessions;
    private final BodyReceiver receiver;
    private final Downloads downloads;
    private final HttpSettings settings;

    TensorController(Sessions sessions, BodyReceiver receiver, Downloads downloads, HttpSettings settings) {
        this.sessions = sessions;
        this.receiver = receiver;
        this.downloads = downloads;
        this.settings = settings;
    }

    @Put("/parameters")
    CompletionStage<HttpResponse<?>> uploadParameters(String id, ServerHttpRequest<?> request) {
        return receiver.receive(request, length -> openParameters(id, request, length))
                .thenApply(status -> Wire.json(Wire.session(status)));
    }

    @Get(value = "/parameters", headRoute = false)
    CompletionStage<HttpResponse<?>> parameters(String id, ServerHttpRequest<?> request) {
        var query = QueryParameters.of(request, "average");
        var session = sessions.find(id);
        var average = query.text("average");
        return downloads.send(request, "parameters", Wire.parameterBytes(session.status()),
                () -> average.map(session::average).orElseGet(session::parameters));
    }

    @Put("/state")
    CompletionStage<HttpResponse<?>> uploadState(String id, ServerHttpRequest<?> request) {
        return receiver.receive(request, length -> openState(id, request, length))
                .thenApply(status -> Wire.json(Wire.session(status)));
    }

    @Get(value = "/state", headRoute = false)
    CompletionStage<HttpResponse<?>> state(String id, ServerHttpRequest<?> request) {
        boolean plain = isPlain(request);
        var session = sessions.find(id);
        return downloads.send(request, "state", session.status().stateBytes(), plain ? session::plainState : session::state);
    }

    @Get("/digest")
    CompletionStage<HttpResponse<?>> digest(String id, ServerHttpRequest<?> request) {
        QueryParameters.of(request);
        return sessions.find(id).digest().thenApply(digest -> Wire.json(Wire.digest(digest)));
    }

    private Incoming<Session.Status> openParameters(String id, ServerHttpRequest<?> request, long length) {
        QueryParameters.of(request);
        var session = sessions.find(id);
        return Media.ofBody(request) == Media.SAFETENSORS
                ? session.receiveParameters(length)
                : new JsonBody<>(settings.jsonLimit(), bytes -> receiveJson(session, bytes));
    }

    private Incoming<Session.Status> openState(String id, ServerHttpRequest<?> request, long length) {
        boolean plain = isPlain(request);
        var session = sessions.find(id);
        Media.requireSafetensors(request);
        return plain ? session.receivePlainState(length) : session.receiveState(length);
    }

    /// Whether state is meant in f32, not as it is stored.
    private static boolean isPlain(ServerHttpRequest<?> request) {
        return QueryParameters.of(request, "format").choice("format", List.of("stored", "f32")).equals("f32");
    }

    private static CompletionStage<Session.Status> receiveJson(Session session, InputStream bytes) {
        var dtypes = Wire.dtypes(session.status());
        try (var tensors = JsonTensors.read(bytes, "parameters", name -> dtypes.getOrDefault(name, DType.F32))) {
            return tensors.pourInto(session.receiveParameters(tensors.byteCount()));
        }
    }
}
