package dev.stepd.session;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/// The counters in the `__metadata__` of an exported state: `step`, and `tensor_steps` (a JSON array by declared
/// tensor) where a partial step left some tensors behind.
final class StateMetadata {
    private static final String STEP = "step";
    private static final String FORMAT = "format.";
    private static final String TENSOR_STEPS = "tensor_steps";

    record Counters(long step, List<Long> tensorSteps) {}

    private StateMetadata() {}

    /// @param formats what slots are kept in that are not in f32, for whoever reads the export: `format.exp_avg`
    static Map<String, String> write(long step, List<Long> tensorSteps, Map<String, String> formats) {
        var metadata = write(step, tensorSteps);
        formats.forEach((slot, format) -> metadata.put(FORMAT + slot, format));
        return metadata;
    }

    /// Refuses codes of another book than the session's: they have the same dtype and mean something else.
    static void checkFormats(Map<String, String> metadata, Map<String, String> formats) {
        formats.forEach((slot, format) -> {
            var given = metadata.getOrDefault(FORMAT + slot, format);
            if (!given.equals(format)) {
                throw invalid(FORMAT + slot, given, "what the session keeps the slot in, " + format);
            }
        });
    }

    static Map<String, String> write(long step, List<Long> tensorSteps) {
        var metadata = new LinkedHashMap<String, String>();
        metadata.put(STEP, Long.toString(step));
        if (tensorSteps.stream().anyMatch(one -> one != step)) {
            metadata.put(TENSOR_STEPS, tensorSteps.toString());
        }
        return metadata;
    }

    /// Nothing when the metadata names no step; other names are the client's own.
    static Optional<Counters> read(Map<String, String> metadata, int tensors) {
        var text = metadata.get(STEP);
        if (text == null) {
            if (metadata.containsKey(TENSOR_STEPS)) {
                throw invalid(TENSOR_STEPS, "given", "only together with " + STEP);
            }
            return Optional.empty();
        }
        if (!text.matches("[0-9]{1,18}")) {
            throw invalid(STEP, text, "a whole number of at least 0");
        }
        long step = Long.parseLong(text);
        var list = metadata.get(TENSOR_STEPS);
        return Optional.of(new Counters(step,
                list == null ? Collections.nCopies(tensors, step) : tensorSteps(list, tensors, step)));
    }

    private static List<Long> tensorSteps(String text, int tensors, long step) {
        var expected = "a JSON array of " + tensors + " whole numbers from 0 to " + step;
        if (!(json(text) instanceof List<?> values) || values.size() != tensors) {
            throw invalid(TENSOR_STEPS, text, expected);
        }
        var steps = new ArrayList<Long>();
        for (var value : values) {
            if (!(value instanceof Integer || value instanceof Long)
                    || ((Number) value).longValue() < 0 || ((Number) value).longValue() > step) {
                throw invalid(TENSOR_STEPS, text, expected);
            }
            steps.add(((Number) value).longValue());
        }
        return steps;
    }

    private static @Nullable Object json(String text) {
        try {
            return Json.read(text);
        } catch (IOException e) {
            return null;
        }
    }

    private static ServiceException invalid(String field, String value, String expected) {
        var shown = value.length() > 80 ? value.substring(0, 80) + "..." : value;
        return new ServiceException(ErrorCode.INVALID_VALUE, "__metadata__." + field + " is " + shown + ", expected " + expected);
    }
}
