package dev.stepd.http;

import io.micronaut.core.io.ResourceResolver;
import io.micronaut.http.HttpResponse;
import io.micronaut.http.MediaType;
import io.micronaut.http.ServerHttpRequest;
import io.micronaut.http.annotation.Controller;
import io.micronaut.http.annotation.Get;
import io.micronaut.http.annotation.Produces;
import java.io.IOException;
import java.io.UncheckedIOException;

/// What the server says about itself: the contract, and a page that names the ways in.
@Controller
@Produces(MediaType.ALL)
final class PageController {
    private static final String CONTRACT_TYPE = "application/yaml";

    private final byte[] contract;
    private final byte[] page;

    PageController(ResourceResolver resources) {
        contract = bytes(resources, "classpath:openapi/stepd.yaml");
        page = bytes(resources, "classpath:index.html");
    }

    @Get("/openapi/stepd.yaml")
    HttpResponse<?> contract(ServerHttpRequest<?> request) {
        QueryParameters.of(request);
        return HttpResponse.ok(contract).contentType(CONTRACT_TYPE);
    }

    @Get("/")
    HttpResponse<?> page(ServerHttpRequest<?> request) {
        QueryParameters.of(request);
        return HttpResponse.ok(page).contentType(MediaType.TEXT_HTML);
    }

    private static byte[] bytes(ResourceResolver resources, String name) {
        try (var in = resources.getResourceAsStream(name).orElseThrow(() -> new IllegalStateException(name + " is not packed"))) {
            return in.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
