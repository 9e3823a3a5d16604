package dev.stepd.engine;

import dev.stepd.error.Fields;
import dev.stepd.error.Nearest;
import dev.stepd.expr.codec.Codec;
import dev.stepd.expr.codec.Formats;
import dev.stepd.rule.Spec;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/// How a session keeps its slots: the `state` object of its description.
///
/// @param format a name of [Formats]
/// @param slots other formats for some slots, by name
/// @param minSize tensors of fewer elements are kept in f32
/// @param blockSize elements that share a scale, where the format has scales
/// @param signedOnly whether slots that are never negative have the codes of those that may be, as in bitsandbytes' optimizers of one
///     slot
/// @param convention whose scales and ties 8-bit codes have
/// @param seed of everything random: stochastic rounding, random starts
public record StateFormat(
        String format,
        Map<String, String> slots,
        long minSize,
        int blockSize,
        boolean signedOnly,
        String convention,
        long seed) {
    private static final List<String> CONVENTIONS = List.of("bitsandbytes", "torchao");
    private static final List<String> BLOCKED = List.of("int8", "fp8", "int4");
    private static final long MIN_SIZE = 4096;
    private static final int BLOCK_MIN = 16;
    private static final int BLOCK_MAX = 1 << 16;
    private static final int BLOCK = 256;
    /// With fewer codes one large value costs its neighbours more.
    private static final int SMALL_BLOCK = 128;
    private static final long SEED_MAX = 1L << 53;

    /// Nothing is coded.
    public static final StateFormat F32 = read(null);

    public StateFormat {
        slots = Map.copyOf(slots);
    }

    /// @throws dev.stepd.error.ServiceException `UNKNOWN_NAME` or `INVALID_VALUE` naming the field, the value and the bound
    public static StateFormat read(@Nullable Map<String, @Nullable Object> state) {
        var fields = Fields.of("state", state == null ? Map.of() : state);
        var format = known(fields, "format", fields.string("format").orElse("f32"), Formats.NAMES);
        var slots = new TreeMap<String, String>();
        fields.object("slots").ifPresent(named -> named.others().forEach(slot ->
                slots.put(slot, known(named, slot, named.requiredString(slot), Formats.NAMES))));
        boolean blocked = BLOCKED.contains(format) || slots.values().stream().anyMatch(BLOCKED::contains);
        if (!blocked) {
            for (var field : List.of("block_size", "signed_only", "convention")) {
                if (fields.has(field)) {
                    fields.refuse(field, fields.value(field).orElse("null"), "none: " + format + " has no blocks; " + BLOCKED + " have");
                }
            }
        }
        long minSize = fields.integer("min_size", 0).orElse(blocked ? MIN_SIZE : 0L);
        long blockSize = fields.integer("block_size", BLOCK_MIN).orElse((long) (format.equals("int4") ? SMALL_BLOCK : BLOCK));
        if (blockSize > BLOCK_MAX) {
            fields.refuse("block_size", blockSize, "a whole number from " + BLOCK_MIN + " to " + BLOCK_MAX);
        }
        boolean signedOnly = fields.bool("signed_only").orElse(false);
        var convention = known(fields, "convention", fields.string("convention").orElse("bitsandbytes"), CONVENTIONS);
        long seed = fields.integer("seed", 0).orElse(0L);
        if (seed > SEED_MAX) {
            fields.refuse("seed", seed, "a whole number from 0 to " + SEED_MAX);
        }
        fields.finish();
        return new StateFormat(format, slots, minSize, (int) blockSize, signedOnly, convention, seed);
    }

    private static String known(Fields fields, String field, String name, List<String> names) {
        return names.contains(name) ? name
                : fields.refuse(field, "\"" + name + "\"", "one of " + names + Nearest.hint(name, names));
    }

    /// The object that reads as this again.
    public Map<String, Object> resolved() {
        var json = new LinkedHashMap<String, Object>();
        json.put("format", format);
        if (!slots.isEmpty()) {
            json.put("slots", new TreeMap<>(slots));
        }
        if (isCoded()) {
            json.put("min_size", minSize);
        }
        if (BLOCKED.contains(format) || slots.values().stream().anyMatch(BLOCKED::contains)) {
            json.put("block_size", blockSize);
            json.put("signed_only", signedOnly);
            json.put("convention", convention);
        }
        json.put("seed", seed);
        return json;
    }

    /// Whether any slot may be in another format than f32.
    boolean isCoded() {
        return !format.equals("f32") || slots.values().stream().anyMatch(name -> !name.equals("f32"));
    }

    /// Whether a tensor's slots are coded at all.
    boolean codes(long elements) {
        boolean whole = !convention.equals("torchao") || elements % blockSize == 0;
        return isCoded() && elements > 0 && elements >= minSize && whole;
    }

    /// Of a slot of a tensor that is coded.
    Codec codec(Spec.SlotSpec slot) {
        var name = slot.scope().isElement() ? slots.getOrDefault(slot.name(), format) : "f32";
        boolean signed = signedOnly || slot.sign() == Spec.Sign.SIGNED;
        return switch (name) {
            case "int8" -> convention.equals("torchao")
                    ? Formats.int8Floored(signed, blockSize)
                    : Formats.int8(signed, blockSize);
            case "int4" -> Formats.int4(signed, blockSize);
            case "fp8" -> Formats.fp8(blockSize);
            default -> Formats.find(name, signed).orElseThrow();
        };
    }

    /// Whether a codec's values are so coarse that small steps of a large value vanish.
    static boolean isCoarse(Codec codec) {
        return BLOCKED.contains(codec.name());
    }
}
