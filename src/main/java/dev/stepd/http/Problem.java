package dev.stepd.http;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import io.micronaut.http.HttpHeaders;
import io.micronaut.http.HttpResponse;
import io.micronaut.http.MutableHttpResponse;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

/// A refusal as RFC 9457 tells it.
///
/// @param detail names the field, the value and the bound
/// @param effect `none`, or `applied` when the step was taken and only its answer was lost
/// @param members further members, such as `current_step`
record Problem(ErrorCode code, String detail, String effect, Map<String, Object> members) {
    static final String CONTENT_TYPE = "application/problem+json";
    private static final String TYPES = "https://stepd.dev/problems/";
    private static final String RETRY_AFTER_SECONDS = "1";

    Problem(ErrorCode code, String detail) {
        this(code, detail, "none", Map.of());
    }

    static Problem of(ServiceException refusal) {
        var detail = refusal.getMessage() == null ? title(refusal.code()) : refusal.getMessage();
        return new Problem(refusal.code(), detail, "none", refusal.members());
    }

    /// The response; a connection whose body stands still is closed with it.
    MutableHttpResponse<?> response() {
        MutableHttpResponse<?> response = HttpResponse.status(code.status(), title(code)).body(Json.bytes(json()));
        response.contentType(CONTENT_TYPE);
        if (code.retryable()) {
            response.header(HttpHeaders.RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        if (code == ErrorCode.BODY_TIMEOUT) {
            response.header(HttpHeaders.CONNECTION, "close");
        }
        return response;
    }

    private Map<String, Object> json() {
        var json = new LinkedHashMap<String, Object>();
        json.put("type", TYPES + code.slug());
        json.put("title", title(code));
        json.put("status", code.status());
        json.put("detail", detail);
        json.put("retryable", code.retryable());
        json.put("effect", members.getOrDefault("effect", effect)); // a change that took hold says so itself
        members.forEach(json::putIfAbsent);
        return json;
    }

    /// `Step mismatch` for `STEP_MISMATCH`.
    private static String title(ErrorCode code) {
        var words = code.name().replace('_', ' ').toLowerCase(Locale.ROOT);
        return Character.toUpperCase(words.charAt(0)) + words.substring(1);
    }
}
