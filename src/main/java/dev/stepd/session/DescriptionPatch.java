package dev.stepd.session;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.Fields;
import dev.stepd.error.Nearest;
import dev.stepd.error.ServiceException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// Lays the fields a client wants changed over the description of a session. Within `optimizer` single
/// hyperparameters may change; every other field is replaced as a whole, and `null` turns it off.
final class DescriptionPatch {
    private static final List<String> CHANGEABLE =
            List.of("name", "optimizer", "groups", "schedule", "clip", "wrap", "average", "non_finite", "snapshot_every",
                    "snapshots", "pinned");

    private DescriptionPatch() {}

    static Map<String, Object> apply(Map<String, Object> description, Map<String, Object> changes) {
        var merged = new LinkedHashMap<>(description);
        changes.forEach((field, value) -> {
            if (!CHANGEABLE.contains(field)) {
                throw new ServiceException(description.containsKey(field) ? ErrorCode.INVALID_VALUE : ErrorCode.UNKNOWN_NAME,
                        field + " cannot be changed; what can is " + CHANGEABLE + Nearest.hint(field, CHANGEABLE));
            }
            merged.put(field, field.equals("optimizer") ? optimizer(description.get(field), value) : value);
        });
        return merged;
    }

    /// Hyperparameters laid over those of the same optimizer.
    static Object optimizer(Object before, Object change) {
        var changes = Fields.of("optimizer", change);
        var old = Fields.of("optimizer", before).requiredString("name");
        changes.string("name").filter(name -> !name.equals(old)).ifPresent(name ->
                changes.refuse("name", name, old + ": a session keeps its optimizer"));
        var merged = new LinkedHashMap<String, Object>();
        ((Map<?, ?>) before).forEach((name, value) -> merged.put((String) name, value));
        if (changes.has("betas")) {
            // two spellings of the same numbers: the new one holds
            merged.keySet().removeIf(name -> name.startsWith("beta"));
        }
        ((Map<?, ?>) change).forEach((name, value) -> merged.put((String) name, value));
        return merged;
    }
}
