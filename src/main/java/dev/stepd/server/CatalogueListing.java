package dev.stepd.server;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Scalar;
import dev.stepd.expr.equation.Equation;
import dev.stepd.http.Optimizers;
import dev.stepd.rule.Composition;
import dev.stepd.rule.Entry;
import dev.stepd.rule.Hyperparameter;
import dev.stepd.rule.Spec;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

/// Writes the catalogue as the objects clients see.
final class CatalogueListing {
    private CatalogueListing() {}

    static Optimizers optimizers() {
        return new Optimizers(Entry.all().stream().map(CatalogueListing::written).toList());
    }

    private static Map<String, Object> written(Entry entry) {
        var spec = entry.spec();
        var json = new LinkedHashMap<String, Object>();
        json.put("name", spec.name());
        json.put("kind", entry.kind().name().toLowerCase(Locale.ROOT));
        json.put("title", spec.title());
        json.put("paper", spec.paper());
        json.put("reference", spec.reference());
        json.put("hyperparameters", spec.hyperparameters().stream().map(CatalogueListing::hyperparameter).toList());
        json.put("slots", entry.slots().stream().map(slot -> slot(slot, entry)).toList());
        json.put("steps", entry.steps().stream().map(step -> step(step, entry)).toList());
        json.put("other_equations_with", entry.variations());
        json.put("extra_inputs", spec.inputs().stream().map(CatalogueListing::input).toList());
        json.put("needs_parameters", entry.needsParameters());
        if (entry.kind() == Entry.Kind.PRESET) {
            json.put("stands_for", parts(entry.composition()));
        }
        return json;
    }

    private static Map<String, Object> parts(Composition composition) {
        var parts = new LinkedHashMap<String, Object>();
        parts.put("optimizer", composition.optimizer());
        parts.put("wrap", composition.wrap());
        if (composition.average() != null) {
            parts.put("average", composition.average());
        }
        if (composition.clip() != null) {
            parts.put("clip", composition.clip());
        }
        if (composition.state() != null) {
            parts.put("state", composition.state());
        }
        return parts;
    }

    private static Map<String, Object> step(Entry.Step step, Entry entry) {
        var json = new LinkedHashMap<String, Object>();
        json.put("tensors", step.tensors().isEmpty() ? "all" : step.tensors());
        json.put("equations", step.equations().stream().map(Equation::toString).toList());
        json.put("average", step.averages().stream().map(Equation::toString).toList());
        json.put("slots", step.slots().stream().map(Spec.SlotSpec::name).toList());
        json.put("state_bytes_per_parameter", FormatSize.bytesByFormat(entry, step));
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

    private static Map<String, Object> slot(Spec.SlotSpec slot, Entry entry) {
        var json = new LinkedHashMap<String, Object>();
        json.put("name", slot.name());
        json.put("scope", slot.scope().kind().name().toLowerCase(Locale.ROOT));
        json.put("dtype", slot.storage().name());
        json.put("sign", slot.sign().name().toLowerCase(Locale.ROOT));
        json.put("initial", initial(slot));
        json.put("kept_by_default", entry.keeps(slot.name()));
        json.put("bytes_per_parameter", slot.scope().isElement() ? slot.storage().bytes() : 0);
        return json;
    }

    private static Object initial(Spec.SlotSpec slot) {
        return !slot.random() && slot.initial() instanceof Expr.Const(var type, long bits)
                ? Scalar.toDouble(type, bits) : Entry.start(slot);
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
}
