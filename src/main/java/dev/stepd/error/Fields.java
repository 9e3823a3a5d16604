package dev.stepd.error;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// Reads a JSON object (as maps, lists, strings, numbers, booleans and nulls) field by field, so that every
/// complaint names the field by its path. Call [#finish] last: it refuses the fields nobody asked for.
///
/// A field that is absent and one that is `null` read the same: both turn the option off.
public final class Fields {
    private final String path;
    private final Map<String, Object> values;
    private final List<String> asked = new ArrayList<>();

    private Fields(String path, Map<String, Object> values) {
        this.path = path;
        this.values = values;
    }

    /// @param path where the object stands, such as `optimizer` or `groups[0]`; empty for the whole body
    /// @throws ServiceException [ErrorCode#INVALID_VALUE] when `value` is no object
    public static Fields of(String path, Object value) {
        if (!(value instanceof Map<?, ?> map)) {
            throw invalid(path.isEmpty() ? "the body" : path, value, "a JSON object");
        }
        var values = new LinkedHashMap<String, Object>();
        map.forEach((key, field) -> values.put((String) key, field));
        return new Fields(path, values);
    }

    /// The path of a field of this object.
    public String path(String field) {
        return path.isEmpty() ? field : path + "." + field;
    }

    public boolean has(String field) {
        asked.add(field);
        return values.get(field) != null;
    }

    /// Whether the field is there and `null`.
    public boolean nulled(String field) {
        asked.add(field);
        return values.containsKey(field) && values.get(field) == null;
    }

    /// The field as it came, absent when missing or `null`.
    public Optional<Object> value(String field) {
        asked.add(field);
        return Optional.ofNullable(values.get(field));
    }

    public Optional<String> string(String field) {
        return value(field).map(v -> v instanceof String s ? s : refuse(field, v, "a string"));
    }

    public String requiredString(String field) {
        return string(field).orElseThrow(() -> missing(field));
    }

    public Optional<Boolean> bool(String field) {
        return value(field).map(v -> v instanceof Boolean b ? b : refuse(field, v, "true or false"));
    }

    /// A finite number.
    public Optional<Double> number(String field) {
        return value(field).map(v -> v instanceof Number n && Double.isFinite(n.doubleValue())
                ? (Double) n.doubleValue()
                : refuse(field, v, "a finite number"));
    }

    /// A number that `min <= number`, and a whole one.
    public Optional<Long> integer(String field, long min) {
        return value(field).map(v -> v instanceof Number n
                        && n.doubleValue() == Math.rint(n.doubleValue())
                        && Math.abs(n.doubleValue()) <= 1L << 53
                        && n.longValue() >= min
                ? (Long) n.longValue()
                : refuse(field, v, "a whole number of at least " + min));
    }

    public Optional<Fields> object(String field) {
        return value(field).map(v -> of(path(field), v));
    }

    /// The objects of an array; an absent field is an empty array.
    public List<Fields> objects(String field) {
        var objects = new ArrayList<Fields>();
        for (var element : array(field)) {
            objects.add(of(path(field) + "[" + objects.size() + "]", element));
        }
        return objects;
    }

    /// The elements of an array; an absent field is an empty array.
    public List<?> array(String field) {
        return value(field).<List<?>>map(v -> v instanceof List<?> l ? l : refuse(field, v, "an array")).orElse(List.of());
    }

    /// The names present that nobody asked for yet.
    public List<String> others() {
        return values.keySet().stream().filter(name -> !asked.contains(name)).toList();
    }

    /// Refuses fields nobody asked for, naming the nearest that exists.
    public void finish() {
        for (var name : others()) {
            throw new ServiceException(ErrorCode.UNKNOWN_NAME,
                    "unknown field " + path(name) + Nearest.hint(name, asked) + "; known are " + asked.stream().distinct().sorted().toList());
        }
    }

    public ServiceException missing(String field) {
        return new ServiceException(ErrorCode.INVALID_VALUE, path(field) + " is missing");
    }

    /// Throws [ErrorCode#INVALID_VALUE] naming field, value and what was expected; typed for use in expressions.
    public <T> T refuse(String field, Object value, String expected) {
        throw invalid(path(field), value, expected);
    }

    private static ServiceException invalid(String path, Object value, String expected) {
        var shown = String.valueOf(value);
        return new ServiceException(ErrorCode.INVALID_VALUE, path + " is "
                + (shown.length() > 80 ? shown.substring(0, 80) + "..." : shown) + ", expected " + expected);
    }
}
