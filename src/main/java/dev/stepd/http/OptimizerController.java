package dev.stepd.http;

import io.micronaut.http.HttpResponse;
import io.micronaut.http.MediaType;
import io.micronaut.http.ServerHttpRequest;
import io.micronaut.http.annotation.Controller;
import io.micronaut.http.annotation.Get;
import io.micronaut.http.annotation.Produces;
import java.util.Map;

/// What can be asked for.
@Controller("/v1/optimizers")
@Produces(MediaType.ALL)
final class OptimizerController {
    private final Optimizers optimizers;

    OptimizerController(Optimizers optimizers) {
        this.optimizers = optimizers;
    }

    @Get
    HttpResponse<?> list(ServerHttpRequest<?> request) {
        QueryParameters.of(request);
        return Wire.json(Map.of("optimizers", optimizers.all()));
    }

    @Get("/{name}")
    HttpResponse<?> get(String name, ServerHttpRequest<?> request) {
        var query = QueryParameters.of(request, "kind");
        return Wire.json(optimizers.find(name, query.text("kind")));
    }
}
