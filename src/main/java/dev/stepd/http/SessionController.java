package dev.stepd.http;

import dev.stepd.error.Fields;
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
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutorService;

/// Sessions come, are looked at, changed and go. What may wait for memory or the database runs off the event loops.
@Controller("/v1/sessions")
@Consumes(MediaType.ALL)
@Produces(MediaType.ALL)
final class SessionController {
    private static final int PAGE_SIZE = 100;
    private static final int PAGE_SIZE_MAX = 1000;

    private final Sessions sessions;
    private final BodyReceiver receiver;
    private final HttpSettings settings;
    private final ExecutorService blocking;

    SessionController(Sessions sessions, BodyReceiver receiver, HttpSettings settings,
            @Named(TaskExecutors.BLOCKING) ExecutorService blocking) {
        this.sessions = sessions;
        this.receiver = receiver;
        this.settings = settings;
        this.blocking = blocking;
    }

    @Post
    CompletionStage<HttpResponse<?>> create(ServerHttpRequest<?> request) {
        return object(request).thenApplyAsync(description -> {
            var status = sessions.create(description).status();
            return Wire.created(Wire.path(status), Wire.session(status));
        }, blocking);
    }

    @Get
    HttpResponse<?> list(ServerHttpRequest<?> request) {
        var query = QueryParameters.of(request, "page_size", "page_token");
        var page = sessions.list(
                query.integer("page_size", PAGE_SIZE, 1, PAGE_SIZE_MAX), query.text("page_token").orElse(""));
        var json = new LinkedHashMap<String, Object>();
        json.put("sessions", page.sessions().stream().map(Wire::session).toList());
        if (!page.nextPageToken().isEmpty()) {
            json.put("next_page_token", page.nextPageToken());
        }
        return Wire.json(json);
    }

    @Get("/{id}")
    HttpResponse<?> get(String id, ServerHttpRequest<?> request) {
        QueryParameters.of(request);
        return Wire.json(Wire.session(sessions.find(id).status()));
    }

    @Patch("/{id}")
    CompletionStage<HttpResponse<?>> patch(String id, ServerHttpRequest<?> request) {
        return object(request)
                .thenComposeAsync(changes -> sessions.find(id).patch(changes), blocking)
                .thenApply(status -> Wire.json(Wire.session(status)));
    }

    @Delete("/{id}")
    @ExecuteOn(TaskExecutors.BLOCKING)
    HttpResponse<?> delete(String id, ServerHttpRequest<?> request) {
        QueryParameters.of(request);
        sessions.delete(id);
        return HttpResponse.noContent();
    }

    @Post("/{id}/forks")
    CompletionStage<HttpResponse<?>> fork(String id, ServerHttpRequest<?> request) {
        return object(request).thenApplyAsync(changes -> {
            var fork = sessions.fork(id, changes);
            return Wire.created(Wire.path(fork.session().status()), Wire.fork(fork));
        }, blocking);
    }

    @Post("/{id}/restore")
    CompletionStage<HttpResponse<?>> restore(String id, ServerHttpRequest<?> request) {
        return object(request).thenComposeAsync(body -> {
            var fields = Fields.of("", body);
            var snapshot = fields.requiredString("snapshot");
            var device = fields.string("device");
            fields.finish();
            var session = sessions.find(id);
            return device.isPresent() ? session.restore(snapshot, device.get()) : session.restore(snapshot);
        }, blocking).thenApply(digest -> Wire.json(Wire.digest(digest)));
    }

    private CompletableFuture<Map<String, Object>> object(ServerHttpRequest<?> request) {
        return receiver.receive(request, length -> {
            QueryParameters.of(request);
            Media.requireJson(request);
            return JsonBody.value(settings.jsonLimit());
        }).thenApply(Wire::object);
    }
}
