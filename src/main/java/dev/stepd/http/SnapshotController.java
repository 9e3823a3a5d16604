package dev.stepd.http;

import dev.stepd.error.ErrorCode;
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
import io.micronaut.http.annotation.Post;
import io.micronaut.http.annotation.Produces;
import io.micronaut.scheduling.TaskExecutors;
import io.micronaut.scheduling.annotation.ExecuteOn;
import java.util.Map;
import java.util.concurrent.CompletionStage;

/// Stored copies of a session. Everything here asks the database, so nothing here runs on an event loop.
@Controller("/v1/sessions/{id}")
@Consumes(MediaType.ALL)
@Produces(MediaType.ALL)
@ExecuteOn(TaskExecutors.BLOCKING)
final class SnapshotController {
    private final Sessions sessions;
    private final Downloads downloads;

    SnapshotController(Sessions sessions, Downloads downloads) {
        this.sessions = sessions;
        this.downloads = downloads;
    }

    @Post("/snapshots")
    CompletionStage<HttpResponse<?>> take(String id, ServerHttpRequest<?> request) {
        QueryParameters.of(request);
        var session = sessions.find(id);
        return session.snapshot().thenApply(snapshot ->
                Wire.created("/v1/sessions/" + id + "/snapshots/" + snapshot.id(), Wire.snapshot(snapshot)));
    }

    @Get("/snapshots")
    HttpResponse<?> list(String id, ServerHttpRequest<?> request) {
        QueryParameters.of(request);
        return Wire.json(Map.of("snapshots", sessions.find(id).snapshots().stream().map(Wire::snapshot).toList()));
    }

    @Get("/snapshots/{snapshot}")
    HttpResponse<?> get(String id, String snapshot, ServerHttpRequest<?> request) {
        QueryParameters.of(request);
        return Wire.json(Wire.snapshot(find(sessions.find(id), snapshot)));
    }

    @Get(value = "/snapshots/{snapshot}/data", headRoute = false)
    CompletionStage<HttpResponse<?>> data(String id, String snapshot, ServerHttpRequest<?> request) {
        QueryParameters.of(request);
        var session = sessions.find(id);
        long bytes = find(session, snapshot).bytes();
        return downloads.send(request, "tensors", bytes, () -> session.snapshotData(snapshot));
    }

    @Delete("/snapshots/{snapshot}")
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
