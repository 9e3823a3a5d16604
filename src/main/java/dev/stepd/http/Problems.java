package dev.stepd.http;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import io.micronaut.http.HttpRequest;
import io.micronaut.http.HttpResponse;
import io.micronaut.http.MutableHttpResponse;
import io.micronaut.http.server.exceptions.ExceptionHandler;
import io.micronaut.http.server.exceptions.response.Error;
import io.micronaut.http.server.exceptions.response.ErrorContext;
import io.micronaut.http.server.exceptions.response.ErrorResponseProcessor;
import jakarta.inject.Singleton;
import java.util.Set;
import java.util.concurrent.CompletionException;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// The one place where failures become problems: our own refusals, the framework's (unknown path, wrong verb,
/// unreadable request) and defects, which are logged with their stack and told without it.
@Singleton
final class Problems implements ErrorResponseProcessor<Object>, ExceptionHandler<Throwable, HttpResponse<?>> {
    private static final Logger LOG = LoggerFactory.getLogger(Problems.class);

    private final Metrics metrics;

    Problems(Metrics metrics) {
        this.metrics = metrics;
    }

    @Override
    @SuppressWarnings("rawtypes")
    public HttpResponse<?> handle(HttpRequest request, Throwable failure) {
        return answer(request, problem(request, failure));
    }

    @Override
    @SuppressWarnings("unchecked")
    public MutableHttpResponse<Object> processResponse(ErrorContext context, MutableHttpResponse<?> base) {
        var request = context.getRequest();
        var code = ofStatus(base.code());
        var problem = code == ErrorCode.INTERNAL && context.getRootCause().isPresent()
                ? problem(request, context.getRootCause().get())
                : new Problem(code, detail(context, code));
        var answer = (MutableHttpResponse<Object>) answer(request, problem);
        base.getHeaders().forEachValue((name, value) -> {
            if (name.equalsIgnoreCase("Allow")) {
                answer.header(name, value);
            }
        });
        return answer;
    }

    private MutableHttpResponse<?> answer(HttpRequest<?> request, Problem problem) {
        metrics.problem(problem.code());
        var response = problem.response();
        // who holds its body back will not send it now, and the connection has no next request to find
        if (BodyReceiver.held(request)) {
            response.header("Connection", "close");
        }
        return response;
    }

    static Throwable unwrapped(Throwable failure) {
        return failure instanceof CompletionException && failure.getCause() != null ? failure.getCause() : failure;
    }

    private static Problem problem(HttpRequest<?> request, Throwable wrapped) {
        var failure = unwrapped(wrapped);
        if (failure instanceof ServiceException refusal) {
            if (refusal.code() == ErrorCode.INTERNAL) {
                LOG.error("{} {} failed: {}", request.getMethodName(), request.getPath(), refusal.getMessage(), refusal);
            }
            return Problem.of(refusal);
        }
        if (failure instanceof AnswerLost lost) {
            LOG.error("{} {} was applied and its answer lost", request.getMethodName(), request.getPath(), lost.getCause());
            return lost.problem();
        }
        LOG.error("{} {} failed", request.getMethodName(), request.getPath(), failure);
        return new Problem(ErrorCode.INTERNAL, "stepd failed in a way it did not foresee; its log has the reason");
    }

    private static String detail(ErrorContext context, ErrorCode code) {
        var request = context.getRequest();
        var target = request.getMethodName() + " " + request.getPath();
        var reasons = context.getErrors().stream().map(Error::getMessage).collect(Collectors.joining("; "));
        return switch (code) {
            case NOT_FOUND -> "there is nothing at " + request.getPath() + "; GET /openapi/stepd.yaml lists what there is";
            case METHOD_NOT_ALLOWED -> target + ": " + reasons;
            // all the framework says of a request it cannot parse is the name of the status
            default -> Set.of("", "Bad Request", "Request Entity Too Large").contains(reasons)
                    ? "the request line or a header is malformed or too long"
                    : reasons;
        };
    }

    /// The code for a status the framework chose.
    private static ErrorCode ofStatus(int status) {
        return switch (status) {
            case 401 -> ErrorCode.UNAUTHENTICATED;
            case 403 -> ErrorCode.FORBIDDEN;
            case 404 -> ErrorCode.NOT_FOUND;
            case 405 -> ErrorCode.METHOD_NOT_ALLOWED;
            case 413 -> ErrorCode.BODY_TOO_LARGE;
            case 415 -> ErrorCode.UNSUPPORTED_MEDIA_TYPE;
            case 503 -> ErrorCode.UNAVAILABLE;
            default -> status >= 500 ? ErrorCode.INTERNAL : ErrorCode.INVALID_REQUEST;
        };
    }
}
