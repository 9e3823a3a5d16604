package dev.stepd.server;

import dev.stepd.http.Optimizers;
import dev.stepd.rule.Catalogue;
import dev.stepd.engine.Recipe;
import dev.stepd.rule.Clip;
import dev.stepd.rule.Composition;
import dev.stepd.rule.Hyperparameter;
import dev.stepd.rule.Preset;
import dev.stepd.rule.Settings;
import dev.stepd.rule.Spec;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;

/// Writes the catalogue of rules as the objects clients see.
final class CatalogueListing {
    private CatalogueListing() {}

    static Optimizers optimizers() {
        var all = new ArrayList<Map<String, Object>>();
        Catalogue.rules().forEach(rule -> all.add(entry("optimizer", rule.spec(), Composition.of(named(rule.spec())))));
        Catalogue.presets().forEach(preset -> all.add(preset(preset)));
        Catalogue.wrappers().forEach(wrapper -> all.add(entry("wrapper", wrapper.spec(),
                new Composition(Map.of("name", "sgd"), List.of(named(wrapper.spec())), null, null, null))));
        Catalogue.averages().forEach(average -> all.add(entry("average", average.spec(),
                new Composition(Map.of("name", "sgd"), List.of(), named(average.spec()), null, null))));
        return new Optimizers(all);
    }

    private static Map<String, Object> named(Spec spec) {
        return Map.of("name", spec.name());
    }

    private static Map<String, Object> preset(Preset preset) {
        var meant = preset.byDefault();
        var json = entry("preset", preset.spec(), meant);
        var parts = new LinkedHashMap<String, Object>();
        parts.put("optimizer", meant.optimizer());
        parts.put("wrap", meant.wrap());
        if (meant.average() != null) {
            parts.put("average", meant.average());
        }
        if (meant.clip() != null) {
            parts.put("clip", meant.clip());
        }
        if (meant.state() != null) {
            parts.put("state", meant.state());
        }
        json.put("stands_for", parts);
        return json;
    }

    /// @param inUse a session in which the entry has its part
    private static Map<String, Object> entry(String kind, Spec spec, Composition inUse) {
        var json = new LinkedHashMap<String, Object>();
        json.put("name", spec.name());
        json.put("kind", kind);
        json.put("title", spec.title());
        json.put("paper", spec.paper());
        json.put("reference", spec.reference());
        json.put("hyperparameters", spec.hyperparameters().stream().map(CatalogueListing::hyperparameter).toList());
        json.put("slots", (kind.equals("preset") ? keptBy(inUse) : spec.slots()).stream().map(CatalogueListing::slot).toList());
        json.put("extra_inputs", spec.inputs().stream().map(CatalogueListing::input).toList());
        json.put("needs_parameters", needsParameters(inUse));
        return json;
    }

    private static Map<String, Object> hyperparameter(Hyperparameter hyperparameter) {
        var json = new LinkedHashMap<String, Object>();
        json.put("name", hyperparameter.name());
        switch (hyperparameter) {
            case Hyperparameter.Real real -> {
                json.put("type", "number");
                json.put("default", real.initial());
                putRange(json, real.range());
                json.put("nullable", real.off().isPresent());
            }
            case Hyperparameter.Numbers list -> {
                json.put("type", "numbers");
                json.put("default", list.initial());
                putRange(json, list.range());
                json.put("max_length", list.maxLength());
            }
            case Hyperparameter.Count count -> {
                json.put("type", "integer");
                json.put("default", count.initial());
                json.put("min", count.min());
                json.put("max", count.max());
            }
            case Hyperparameter.Flag flag -> {
                json.put("type", "boolean");
                json.put("default", flag.initial());
            }
            case Hyperparameter.Choice choice -> {
                json.put("type", "string");
                json.put("default", choice.initial());
                json.put("values", choice.values());
                if (choice.orWhole()) {
                    json.put("or", "a whole number other than 0");
                }
            }
        }
        json.put("meaning", hyperparameter.meaning());
        return json;
    }

    private static void putRange(Map<String, Object> json, Hyperparameter.Range range) {
        json.put("min", range.min());
        if (range.max() < Double.MAX_VALUE) {
            json.put(range.maxIncluded() ? "max" : "below", range.max());
        }
    }

    private static Map<String, Object> slot(Spec.SlotSpec slot) {
        var json = new LinkedHashMap<String, Object>();
        json.put("name", slot.name());
        json.put("scope", slot.scope().kind().name().toLowerCase(Locale.ROOT));
        json.put("dtype", slot.storage().name());
        json.put("bytes_per_parameter", slot.scope().isElement() ? slot.storage().bytes() : 0);
        return json;
    }

    private static Map<String, Object> input(Spec.InputSpec input) {
        var json = new LinkedHashMap<String, Object>();
        json.put("name", input.name());
        json.put("key", input.key("<tensor>"));
        json.put("scope", input.scope().kind().name().toLowerCase(Locale.ROOT));
        json.put("required", input.required());
        json.put("meaning", input.meaning());
        return json;
    }

    /// The slots of a composition when nothing is set.
    private static Collection<Spec.SlotSpec> keptBy(Composition composition) {
        var kept = new LinkedHashMap<String, Spec.SlotSpec>();
        recipes(composition).flatMap(recipe -> recipe.slots().stream()).forEach(slot -> kept.putIfAbsent(slot.name(), slot));
        return kept.values();
    }

    /// Whether the step reads parameter values when nothing is set, so that they have to be uploaded first.
    private static boolean needsParameters(Composition composition) {
        return recipes(composition).anyMatch(Recipe::readsParameters);
    }

    private static Stream<Recipe> recipes(Composition composition) {
        var settings = Settings.read(composition, List.of(), null);
        return Recipe.each(settings, Clip.read(composition.clip())).stream();
    }
}
