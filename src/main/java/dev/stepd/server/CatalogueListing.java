package dev.stepd.server;

import dev.stepd.expr.Type;
import dev.stepd.http.Optimizers;
import dev.stepd.rule.Catalogue;
import dev.stepd.rule.Clip;
import dev.stepd.rule.Hyperparameter;
import dev.stepd.rule.Inputs;
import dev.stepd.rule.OptimizerProgram;
import dev.stepd.rule.Rule;
import dev.stepd.rule.Settings;
import dev.stepd.rule.Spec;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/// Writes the catalogue of rules as the objects clients see.
final class CatalogueListing {
    private CatalogueListing() {}

    static Optimizers optimizers() {
        return new Optimizers(Catalogue.rules().stream().map(CatalogueListing::optimizer).toList());
    }

    private static Map<String, Object> optimizer(Rule rule) {
        var spec = rule.spec();
        var json = new LinkedHashMap<String, Object>();
        json.put("name", spec.name());
        json.put("title", spec.title());
        json.put("paper", spec.paper());
        json.put("hyperparameters", spec.hyperparameters().stream().map(CatalogueListing::hyperparameter).toList());
        json.put("slots", spec.slots().stream().map(CatalogueListing::slot).toList());
        json.put("extra_inputs", List.of());
        json.put("needs_parameters", needsParameters(spec.name()));
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

    /// Whether the rule reads parameter values when nothing is set, so that they have to be uploaded first.
    private static boolean needsParameters(String name) {
        var settings = Settings.read(Map.of("name", name), List.of(), null);
        return settings.rule().kinds().stream()
                .map(kind -> OptimizerProgram.step(settings, new Clip.None(), kind, Type.F32, false))
                .anyMatch(program -> program.reads().contains(Inputs.param(Type.F32)));
    }
}
