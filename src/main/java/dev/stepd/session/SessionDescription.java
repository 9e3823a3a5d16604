package dev.stepd.session;

import dev.stepd.engine.Devices;
import dev.stepd.engine.Engine;
import dev.stepd.engine.Engine.Blueprint;
import dev.stepd.engine.Engine.NonFinite;
import dev.stepd.error.ErrorCode;
import dev.stepd.error.Fields;
import dev.stepd.error.Nearest;
import dev.stepd.error.ServiceException;
import dev.stepd.rule.Composition;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.Shape;
import dev.stepd.tensor.TensorSpec;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// What a client asked for, checked.
///
/// @param snapshotEvery steps between two automatic snapshots
/// @param retention which of them stay
/// @param device as asked for; the engine knows what there is
/// @param pinned whether it keeps its place on the device though nobody steps it
record SessionDescription(
        String name, Blueprint blueprint, Durability durability, long snapshotEvery, Retention retention, String device,
        boolean pinned) {
    private static final int NAME_LENGTH_MAX = 200;
    private static final int TENSOR_NAME_LENGTH_MAX = 512;
    private static final long SNAPSHOT_EVERY_DEFAULT = 1000;
    private static final long EXTENT_MAX = 1L << 53;
    /// Far beyond any machine, far below where sums of several such arrays overflow.
    private static final long BYTES_MAX = 1L << 56;

    /// @throws ServiceException naming the field
    static SessionDescription parse(Object json) {
        var fields = Fields.of("", json);
        var name = fields.string("name").orElse("unnamed");
        if (name.length() > NAME_LENGTH_MAX) {
            fields.refuse("name", name.length() + " characters long", "at most " + NAME_LENGTH_MAX);
        }
        if (!fields.has("optimizer")) {
            throw fields.missing("optimizer");
        }
        var composition = new Composition(
                object(fields, "optimizer", Map.of()),
                objects(fields, "wrap"),
                object(fields, "average", null),
                object(fields, "clip", null),
                object(fields, "state", null));
        var blueprint = new Blueprint(
                tensors(fields),
                composition,
                objects(fields, "groups"),
                schedule(fields),
                choice(fields, "non_finite", NonFinite.REJECT));
        var durability = choice(fields, "durability", Durability.SNAPSHOT);
        long every = fields.integer("snapshot_every", 1).orElse(SNAPSHOT_EVERY_DEFAULT);
        var retention = fields.object("snapshots").map(Retention::parse).orElse(Retention.DEFAULT);
        var device = fields.string("device").orElse(Devices.AUTO);
        boolean pinned = fields.bool("pinned").orElse(false);
        fields.finish();
        return new SessionDescription(name, blueprint, durability, every, retention, device, pinned);
    }

    /// The description with every default in its place, readable by [#parse] again.
    Map<String, Object> resolved(Engine engine) {
        var json = new LinkedHashMap<String, Object>();
        json.put("name", name);
        var composition = engine.resolved(blueprint);
        json.put("optimizer", composition.optimizer());
        json.put("tensors", blueprint.tensors().stream().map(SessionDescription::tensor).toList());
        json.put("groups", blueprint.groups());
        if (blueprint.schedule() != null) {
            json.put("schedule", blueprint.schedule());
        }
        if (composition.clip() != null) {
            json.put("clip", composition.clip());
        }
        if (!composition.wrap().isEmpty()) {
            json.put("wrap", composition.wrap());
        }
        if (composition.average() != null) {
            json.put("average", composition.average());
        }
        json.put("state", composition.state());
        json.put("non_finite", lower(blueprint.nonFinite()));
        json.put("durability", lower(durability));
        json.put("snapshot_every", snapshotEvery);
        json.put("snapshots", retention.json());
        json.put("device", device);
        json.put("pinned", pinned);
        return json;
    }

    private static Map<String, Object> tensor(TensorSpec spec) {
        var json = new LinkedHashMap<String, Object>();
        json.put("name", spec.name());
        json.put("shape", spec.shape().extents());
        json.put("dtype", spec.dtype().name());
        return json;
    }

    private static List<TensorSpec> tensors(Fields fields) {
        var tensors = new ArrayList<TensorSpec>();
        var names = new HashSet<String>();
        long bytes = 0;
        for (var one : fields.objects("tensors")) {
            var spec = tensor(one);
            if (!names.add(spec.name())) {
                one.refuse("name", spec.name(), "a name no other tensor has");
            }
            long elements = spec.elementCount();
            if (elements > BYTES_MAX / Float.BYTES || (bytes += elements * Float.BYTES) > BYTES_MAX) {
                throw new ServiceException(ErrorCode.OUT_OF_MEMORY,
                        "the tensors up to " + one.path("shape") + " need more than " + BYTES_MAX + " bytes");
            }
            tensors.add(spec);
        }
        if (tensors.isEmpty()) {
            throw new ServiceException(ErrorCode.INVALID_VALUE, "tensors is empty, a session needs at least one");
        }
        return List.copyOf(tensors);
    }

    private static TensorSpec tensor(Fields fields) {
        var name = fields.requiredString("name");
        if (name.isEmpty() || name.length() > TENSOR_NAME_LENGTH_MAX || name.contains("#")
                || name.equals("__metadata__")) {
            fields.refuse("name", name,
                    "1 to " + TENSOR_NAME_LENGTH_MAX + " characters without #, and not __metadata__");
        }
        if (!fields.has("shape")) {
            throw fields.missing("shape");
        }
        var extents = new ArrayList<Long>();
        for (var extent : fields.array("shape")) {
            if (!(extent instanceof Number n) || n.doubleValue() != Math.rint(n.doubleValue())
                    || n.doubleValue() < 0 || n.doubleValue() > EXTENT_MAX) {
                fields.refuse("shape[" + extents.size() + "]", extent, "a whole number of at least 0");
            } else {
                extents.add(n.longValue());
            }
        }
        var shape = new Shape(extents);
        var dtype = fields.string("dtype").map(text -> DType.of(fields.path("dtype"), text)).orElse(DType.F32);
        if (dtype != DType.F32 && dtype != DType.F16 && dtype != DType.BF16) {
            fields.refuse("dtype", dtype, "F32, F16 or BF16");
        }
        fields.finish();
        return new TensorSpec(name, shape, dtype);
    }

    /// The objects of an array; what is in them the engine knows.
    private static List<Map<String, Object>> objects(Fields fields, String field) {
        var objects = new ArrayList<Map<String, Object>>();
        fields.objects(field); // complains about anything but objects
        for (var object : fields.array(field)) {
            objects.add(map(object));
        }
        return List.copyOf(objects);
    }

    /// One object, or an array of them; what is in them the engine knows.
    private static @Nullable Object schedule(Fields fields) {
        var value = fields.value("schedule").orElse(null);
        if (value != null && !(value instanceof Map) && !(value instanceof List)) {
            fields.refuse("schedule", value, "an object or an array of objects");
        }
        return value;
    }

    private static @Nullable Map<String, Object> object(
            Fields fields, String field, @Nullable Map<String, Object> absent) {
        fields.object(field); // complains about anything but an object
        return fields.value(field).map(SessionDescription::map).orElse(absent);
    }

    @SuppressWarnings("unchecked") // JSON objects have string keys
    private static Map<String, Object> map(Object json) {
        return (Map<String, Object>) json;
    }

    private static <E extends Enum<E>> E choice(Fields fields, String field, E absent) {
        var text = fields.string(field);
        if (text.isEmpty()) {
            return absent;
        }
        var choices = absent.getDeclaringClass().getEnumConstants();
        for (var choice : choices) {
            if (lower(choice).equals(text.get())) {
                return choice;
            }
        }
        var names = Arrays.stream(choices).map(SessionDescription::lower).toList();
        throw new ServiceException(ErrorCode.INVALID_VALUE, fields.path(field) + " is " + text.get() + ", expected one of "
                + names + Nearest.hint(text.get(), names));
    }

    private static String lower(Enum<?> choice) {
        return choice.name().toLowerCase(Locale.ROOT);
    }
}
