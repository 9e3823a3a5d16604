package dev.stepd.rule;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// What a session's optimizer is composed of, as JSON came: unchecked but for its form.
///
/// @param optimizer `{"name": "adamw", "lr": 0.001, ...}`; the name may be a [Preset]'s
/// @param wrap `[{"name": "lookahead", "k": 5}]`: each is around those before it
/// @param average `{"name": "ema", "decay": 0.999}` or null for none
/// @param clip `{"global_norm": 1.0}` or null for none
/// @param state `{"format": "f32"}` or null for what a session keeps by default
public record Composition(
        Map<String, @Nullable Object> optimizer,
        List<Map<String, @Nullable Object>> wrap,
        @Nullable Map<String, @Nullable Object> average,
        @Nullable Map<String, @Nullable Object> clip,
        @Nullable Map<String, @Nullable Object> state) {
    public Composition {
        wrap = List.copyOf(wrap);
    }

    /// An optimizer with nothing around it.
    public static Composition of(Map<String, @Nullable Object> optimizer) {
        return new Composition(optimizer, List.of(), null, null, null);
    }

    Composition wrapped(Map<String, @Nullable Object> wrapper) {
        var around = new ArrayList<Map<String, @Nullable Object>>(wrap);
        around.add(wrapper);
        return new Composition(optimizer, around, average, clip, state);
    }

    Composition averaged(Map<String, @Nullable Object> by) {
        return new Composition(optimizer, wrap, by, clip, state);
    }

    Composition clipped(Map<String, @Nullable Object> by) {
        return new Composition(optimizer, wrap, average, by, state);
    }

    Composition keeping(Map<String, @Nullable Object> slots) {
        return new Composition(optimizer, wrap, average, clip, slots);
    }

    /// The same without presets: what a preset stands for is inside whatever else is asked for.
    ///
    /// @throws ServiceException `INVALID_VALUE` where the preset and the session both say what there is one of, and as
    ///     [Settings#read] does
    public Composition expanded() {
        var preset = optimizer.get("name") instanceof String name ? Catalogue.findPreset(name) : null;
        if (preset == null) {
            return this;
        }
        var meant = preset.expand(optimizer);
        var around = new ArrayList<Map<String, @Nullable Object>>(meant.wrap);
        around.addAll(wrap);
        var name = preset.spec().name();
        return new Composition(meant.optimizer, around, one("average", name, meant.average, average),
                one("clip", name, meant.clip, clip), one("state", name, meant.state, state)).expanded();
    }

    private static @Nullable Map<String, @Nullable Object> one(
            String field, String preset, @Nullable Map<String, @Nullable Object> meant,
            @Nullable Map<String, @Nullable Object> asked) {
        if (meant != null && asked != null) {
            throw new ServiceException(ErrorCode.INVALID_VALUE,
                    field + " is " + asked + ", expected none: " + preset + " stands for " + meant);
        }
        return meant != null ? meant : asked;
    }
}
