package dev.stepd.http;

import dev.stepd.session.Session;
import io.micronaut.http.HttpResponse;
import io.micronaut.http.ServerHttpRequest;
import jakarta.inject.Singleton;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.Supplier;

/// Sends copies of what a session keeps, as safetensors unless the client asks for JSON.
@Singleton
final class Downloads {
    private final HttpSettings settings;
    private final Metrics metrics;

    Downloads(HttpSettings settings, Metrics metrics) {
        this.settings = settings;
        this.metrics = metrics;
    }

    /// @param field the JSON answer's member for the tensors
    /// @param bytes about how many the copy will have, to refuse unreadable JSON before it is made
    CompletionStage<HttpResponse<?>> send(
            ServerHttpRequest<?> request, String field, long bytes, Supplier<CompletionStage<Session.Download>> copy) {
        boolean asJson = Media.ofAnswer(request, Media.SAFETENSORS) == Media.JSON;
        if (asJson) {
            TensorJson.requireSmall(bytes, settings.jsonLimit());
        }
        var reply = new CompletableFuture<HttpResponse<?>>();
        BodyReceiver.future(copy.get()).whenComplete((download, failure) -> {
            if (failure != null) {
                reply.completeExceptionally(failure);
                return;
            }
            try {
                var response = asJson ? json(field, download) : tensors(request, download);
                if (!reply.complete(response)) {
                    download.close();
                }
            } catch (RuntimeException defect) {
                download.close();
                reply.completeExceptionally(defect);
            }
        });
        return reply;
    }

    private HttpResponse<?> tensors(ServerHttpRequest<?> request, Session.Download download) {
        metrics.sent(download.message().byteCount());
        return HttpResponse.ok(TensorReply.body(request, download.message(), download::close))
                .header("Stepd-Step", Long.toString(download.step()))
                .contentType(Media.SAFETENSORS_TYPE);
    }

    private static HttpResponse<?> json(String field, Session.Download download) {
        try (download) {
            var json = TensorJson.bytes(Map.of("step", download.step()), field, download.message());
            return Wire.json(HttpResponse.ok(), json).header("Stepd-Step", Long.toString(download.step()));
        }
    }
}
