package dev.stepd.http;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import io.micronaut.http.HttpRequest;
import java.util.List;
import java.util.Locale;

/// How tensors travel, in either direction.
enum Media {
    SAFETENSORS,
    JSON;

    static final String SAFETENSORS_TYPE = "application/vnd.safetensors";
    static final String OCTETS_TYPE = "application/octet-stream";
    static final String EVENTS_TYPE = "text/event-stream";
    static final String JSON_TYPE = "application/json";
    private static final String MERGE_PATCH_TYPE = "application/merge-patch+json";

    /// What a tensor body says it is.
    ///
    /// @throws ServiceException UNSUPPORTED_MEDIA_TYPE
    static Media ofBody(HttpRequest<?> request) {
        return switch (contentType(request)) {
            case SAFETENSORS_TYPE, OCTETS_TYPE -> SAFETENSORS;
            case JSON_TYPE -> JSON;
            case String other -> throw unsupported(other, List.of(SAFETENSORS_TYPE, OCTETS_TYPE, JSON_TYPE));
        };
    }

    static void requireSafetensors(HttpRequest<?> request) {
        var type = contentType(request);
        if (!type.equals(SAFETENSORS_TYPE) && !type.equals(OCTETS_TYPE)) {
            throw unsupported(type, List.of(SAFETENSORS_TYPE, OCTETS_TYPE));
        }
    }

    static void requireJson(HttpRequest<?> request) {
        var type = contentType(request);
        if (!type.equals(JSON_TYPE) && !type.equals(MERGE_PATCH_TYPE)) {
            throw unsupported(type, List.of(JSON_TYPE));
        }
    }

    /// What the client wants back: what it asks for in `Accept`, else what it sent.
    static Media ofAnswer(HttpRequest<?> request, Media sent) {
        var accept = request.getHeaders().get("Accept");
        if (accept == null) {
            return sent;
        }
        boolean safetensors = accept.contains(SAFETENSORS_TYPE) || accept.contains(OCTETS_TYPE);
        boolean json = accept.contains(JSON_TYPE);
        return safetensors == json ? sent : safetensors ? SAFETENSORS : JSON;
    }

    private static String contentType(HttpRequest<?> request) {
        var encoding = request.getHeaders().get("Content-Encoding");
        if (encoding != null && !encoding.equalsIgnoreCase("identity")) {
            throw new ServiceException(ErrorCode.UNSUPPORTED_MEDIA_TYPE,
                    "Content-Encoding is " + encoding + ", bodies are read uncompressed only");
        }
        var type = request.getHeaders().get("Content-Type");
        if (type == null) {
            return "";
        }
        int end = type.indexOf(';');
        return (end < 0 ? type : type.substring(0, end)).trim().toLowerCase(Locale.ROOT);
    }

    private static ServiceException unsupported(String type, List<String> expected) {
        return new ServiceException(ErrorCode.UNSUPPORTED_MEDIA_TYPE,
                (type.isEmpty() ? "Content-Type is missing" : "Content-Type is " + type) + ", expected one of " + expected);
    }
}
