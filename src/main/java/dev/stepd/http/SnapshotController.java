package dev.stepd.http;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.Fields;
import dev.stepd.error.ServiceException;
import dev.stepd.session.Session;
import dev.stepd.session.Sessions;
import io.micronaut.http.HttpResponse;
import io.micronaut.http.MediaType;
import io.micronaut.http.ServerHttpRequest;
import io.micronaut.http.annotation.Consumes;
import io.micronaut.http.annotation.Controller;
import io.micronaut.http.annotation.Delete;
import io.micronaut.http.annotation.Get;
import io.micronaut.http.annotation.Patch;
import io.micronaut.http.annotation.Post;
import io.micronaut.http.annotation.Produces;
import io.micronaut.scheduling.TaskExecutors;
import io.micronaut.scheduling.annotation.ExecuteOn;
import jakarta.inject.Named;
import java.util.Map;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutorService;

/// Stored copies of a session. Everything here asks the database, so nothing here runs on an event loop.
@Controller("/v1/sessions/{id}")
@Consumes(MediaType.ALL)
@Produces(MediaType.ALL)
final class SnapshotController {
    private static final String PINNED = "pinned";

    private final Sessions sessions;
    private final Downloads downloads;
    private final BodyReceiver receiver;
    private final HttpSettings settings;
    private final ExecutorService blocking;

    SnapshotController(Sessions sessions, Downloads downloads, BodyReceiver receiver, HttpSettings settings,
            @Named(TaskExecutors.BLOCKING) ExecutorService blocking) {
        this.sessions = sessions;
        this.downloads = downloads;
        this.receiver = receiver;
        this.settings = settings;
        this.blocking = blocking;
    }

    @Post("/snapshots")
    CompletionStage<HttpResponse<?>> take(String id, ServerHttpRequest<?> request) {
        return receiver.receive(request, length -> {
            QueryParameters.of(request);
            if (length != 0) {
                Media.requireJson(request);
            }
            return JsonBody.valueOrNone(settings.jsonLimit());
        }).thenComposeAsync(body -> {
            var fields = Fields.of("", body);
            boolean pinned = fields.bool(PINNED).orElse(true);
            fields.finish();
            return sessions.find(id).snapshot(pinned);
        }, blocking).thenApply(snapshot ->
                Wire.created("/v1/sessions/" + id + "/snapshots/" + snapshot.id(), Wire.snapshot(snapshot)));
    }

    @Patch("/snapshots/{snapshot}")
    CompletionStage<HttpResponse<?>> pin(String id, String snapshot, ServerHttpRequest<?> request) {
        return receiver.receive(request, length -> {
            QueryParameters.of(request);
            Media.requireJson(request);
            return JsonBody.value(settings.jsonLimit());
        }).thenApplyAsync(body -> {
            var fields = Fields.of("", body);
            boolean pinned = fields.bool(PINNED).orElseThrow(() -> fields.missing(PINNED));
            fields.finish();
            return Wire.json(Wire.snapshot(sessions.find(id).pinSnapshot(snapshot, pinned)));
        }, blocking);
    }

    @Get("/snapshots")
    @ExecuteOn(TaskExecutors.BLOCKING)
    HttpResponse<?> list(String id, ServerHttpRequest<?> request) {
        QueryParameters.of(request);
        return Wire.json(Map.of("snapshots", sessions.find(id).snapshots().stream().map(Wire::snapshot).toList()));
    }

    @Get("/snapshots/{snapshot}")
    @ExecuteOn(TaskExecutors.BLOCKING)
    HttpResponse<?> get(String id, String snapshot, ServerHttpRequest<?> request) {
        QueryParameters.of(request);
        return Wire.json(Wire.snapshot(find(sessions.find(id), snapshot)));
    }

    @Get(value = "/snapshots/{snapshot}/data", headRoute = false)
    @ExecuteOn(TaskExecutors.BLOCKING)
    CompletionStage<HttpResponse<?>> data(String id, String snapshot, ServerHttpRequest<?> request) {
        QueryParameters.of(request);
        var session = sessions.find(id);
        long bytes = find(session, snapshot).bytes();
        return downloads.send(request, "tensors", bytes, () -> session.snapshotData(snapshot));
    }

    @Delete("/snapshots/{snapshot}")
    @ExecuteOn(TaskExecutors.BLOCKING)
    HttpResponse<?> delete(String id, String snapshot, ServerHttpRequest<?> request) {
        QueryParameters.of(request);
        sessions.find(id).deleteSnapshot(snapshot);
        return HttpResponse.noContent();
    }

    private static Session.SnapshotInfo find(Session session, String snapshot) {
        return session.snapshots().stream()
                .filter(info -> info.id().equals(snapshot))
                .findFirst()
                .orElseThrow(() -> new ServiceException(ErrorCode.NOT_FOUND,
                        "session " + session.id() + " has no snapshot " + snapshot));
    }
}
