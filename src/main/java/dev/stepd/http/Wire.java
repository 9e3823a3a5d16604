package dev.stepd.http;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.session.Fork;
import dev.stepd.session.Session;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.Shape;
import io.micronaut.http.HttpResponse;
import io.micronaut.http.MutableHttpResponse;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// The JSON objects of the interface.
final class Wire {
    private Wire() {}

    static Map<String, Object> session(Session.Status status) {
        var json = new LinkedHashMap<String, Object>();
        json.put("id", status.id());
        json.putAll(status.description());
        json.put("step", status.step());
        json.put("durable_step", status.durableStep());
        json.put("state_bytes", status.stateBytes());
        json.put("has_parameters", status.hasParameters());
        json.put("device", status.device());
        if (!status.tier().isEmpty()) {
            json.put("tier", status.tier());
        }
        json.put("status", status.status());
        json.put("created", status.created().toString());
        return json;
    }

    static Map<String, Object> fork(Fork fork) {
        var from = new LinkedHashMap<String, Object>();
        from.put("session", fork.source());
        if (!fork.snapshot().isEmpty()) {
            from.put("snapshot", fork.snapshot());
        }
        from.put("step", fork.step());
        var json = session(fork.session().status());
        json.put("forked_from", from);
        json.put("translation", translation(fork.translation()));
        return json;
    }

    private static Map<String, Object> translation(Fork.Slots slots) {
        var json = new LinkedHashMap<String, Object>();
        json.put("carried", slots.carried().stream().map(Wire::line).toList());
        json.put("fresh", slots.fresh().stream().map(Wire::line).toList());
        json.put("dropped", slots.dropped().stream().map(Wire::line).toList());
        json.put("steps", slots.steps());
        return json;
    }

    private static Map<String, Object> line(Fork.Line line) {
        var json = new LinkedHashMap<String, Object>();
        json.put("slot", line.slot());
        json.put("reason", line.reason());
        json.put("tensors", line.tensors());
        return json;
    }

    static Map<String, Object> snapshot(Session.SnapshotInfo snapshot) {
        var json = new LinkedHashMap<String, Object>();
        json.put("id", snapshot.id());
        json.put("step", snapshot.step());
        json.put("bytes", snapshot.bytes());
        json.put("stored_bytes", snapshot.storedBytes());
        json.put("digest", snapshot.digest());
        json.put("pinned", snapshot.pinned());
        json.put("parent", snapshot.parent().isEmpty() ? null : snapshot.parent());
        json.put("created", snapshot.created().toString());
        return json;
    }

    static Map<String, Object> digest(Session.Digest digest) {
        return Map.of("step", digest.step(), "digest", digest.digest());
    }

    static String path(Session.Status status) {
        return "/v1/sessions/" + status.id();
    }

    static MutableHttpResponse<?> json(Object value) {
        return json(HttpResponse.ok(), Json.bytes(value));
    }

    static MutableHttpResponse<?> json(MutableHttpResponse<Object> response, byte[] json) {
        return response.body((Object) json).contentType(Media.JSON_TYPE);
    }

    static MutableHttpResponse<?> created(String location, Object value) {
        return json(HttpResponse.created(java.net.URI.create(location)), Json.bytes(value));
    }

    @SuppressWarnings("unchecked")
    static Map<String, Object> object(Object json) {
        if (json instanceof Map<?, ?> map) {
            return (Map<String, Object>) map;
        }
        throw new ServiceException(ErrorCode.INVALID_VALUE, "the body must be a JSON object");
    }

    /// Bytes of all parameters of a session.
    static long parameterBytes(Session.Status status) {
        return tensors(status).stream()
                .mapToLong(tensor -> shape(tensor).elementCount() * dtype(tensor).bytes())
                .sum();
    }

    /// The declared dtype of each tensor by name.
    static Map<String, DType> dtypes(Session.Status status) {
        var dtypes = new LinkedHashMap<String, DType>();
        tensors(status).forEach(tensor -> dtypes.put((String) tensor.get("name"), dtype(tensor)));
        return dtypes;
    }

    @SuppressWarnings("unchecked")
    private static List<Map<String, Object>> tensors(Session.Status status) {
        return (List<Map<String, Object>>) status.description().getOrDefault("tensors", List.of());
    }

    private static Shape shape(Map<String, Object> tensor) {
        return new Shape(((List<?>) tensor.get("shape")).stream().map(extent -> ((Number) extent).longValue()).toList());
    }

    private static DType dtype(Map<String, Object> tensor) {
        return DType.of("dtype", (String) tensor.getOrDefault("dtype", DType.F32.name()));
    }
}
