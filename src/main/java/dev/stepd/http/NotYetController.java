package dev.stepd.http;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import io.micronaut.http.HttpResponse;
import io.micronaut.http.MediaType;
import io.micronaut.http.annotation.Consumes;
import io.micronaut.http.annotation.Controller;
import io.micronaut.http.annotation.Get;
import io.micronaut.http.annotation.Post;
import io.micronaut.http.annotation.Produces;

/// The part of the contract that this version answers with 501.
@Controller("/v1")
@Consumes(MediaType.ALL)
@Produces(MediaType.ALL)
final class NotYetController {
    @Post("/studies")
    HttpResponse<?> createStudy() {
        throw absent("studies");
    }

    @Get("/studies/{id}")
    HttpResponse<?> study(String id) {
        throw absent("studies");
    }

    @Post("/studies/{id}/suggestions")
    HttpResponse<?> suggest(String id) {
        throw absent("studies");
    }

    @Post("/studies/{id}/trials")
    HttpResponse<?> addTrial(String id) {
        throw absent("studies");
    }

    @Get("/studies/{id}/trials")
    HttpResponse<?> trials(String id) {
        throw absent("studies");
    }

    @Get("/studies/{id}/best")
    HttpResponse<?> best(String id) {
        throw absent("studies");
    }

    @Post("/studies/{id}/trials/{number}/measurements")
    HttpResponse<?> measure(String id, String number) {
        throw absent("studies");
    }

    @Post("/studies/{id}/trials/{number}/completion")
    HttpResponse<?> complete(String id, String number) {
        throw absent("studies");
    }

    private static ServiceException absent(String what) {
        return new ServiceException(ErrorCode.NOT_IMPLEMENTED, what + " are not part of this version");
    }
}
