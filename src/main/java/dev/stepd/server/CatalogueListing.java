package dev.stepd.server;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Scalar;
import dev.stepd.expr.equation.Equation;
import dev.stepd.expr.equation.Equations;
import dev.stepd.http.Optimizers;
import dev.stepd.rule.Entry;
import dev.stepd.rule.Hyperparameter;
import dev.stepd.rule.Spec;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/// Writes the catalogue as the objects clients see.
final class CatalogueListing {
    private CatalogueListing() {}

    static Optimizers optimizers() {
        return new Optimizers(Entry.all().stream().map(CatalogueListing::optimizer).toList());
    }

    private static Map<String, Object> optimizer(Entry entry) {
        var spec = entry.spec();
        var json = new LinkedHashMap<String, Object>();
        json.put("name", spec.name());
        json.put("kind", entry.kind().name().toLowerCase(Locale.ROOT));
        json.put("title", spec.title());
        json.put("paper", spec.paper());
        json.put("reference", spec.reference());
        json.put("equations", entry.equations().stream().map(Equation::toString).toList());
        json.put("other_equations_with", entry.variations());
        json.put("hyperparameters", spec.hyperparameters().stream().map(CatalogueListing::hyperparameter).toList());
        json.put("slots", spec.slots().stream().map(slot -> slot(slot, entry)).toList());
        json.put("state_bytes_per_parameter", StateFormat.ALL.stream().collect(Collectors.toMap(
                StateFormat::name, format -> format.bytesPerParameter(entry), (a, _) -> a, LinkedHashMap::new)));
        json.put("extra_inputs", entry.inputs());
        json.put("needs_parameters", entry.needsParameters());
        return json;
    }

    private static Map<String, Object> hyperparameter(Hyperparameter hyperparameter) {
        var json = new LinkedHashMap<String, Object>();
        json.put("name", hyperparameter.name());
        switch (hyperparameter) {
            case Hyperparameter.Real real -> {
                json.put("type", "number");
                json.put("default", real.initial());
                json.put("min", real.range().min());
                if (real.range().max() < Double.MAX_VALUE) {
                    json.put(real.range().maxIncluded() ? "max" : "below", real.range().max());
                }
                json.put("nullable", real.off().isPresent());
            }
            case Hyperparameter.Flag flag -> {
                json.put("type", "boolean");
                json.put("default", flag.initial());
            }
            case Hyperparameter.Choice choice -> {
                json.put("type", "string");
                json.put("default", choice.initial());
                json.put("values", choice.values());
            }
        }
        json.put("meaning", hyperparameter.meaning());
        return json;
    }

    private static Map<String, Object> slot(Spec.SlotSpec slot, Entry entry) {
        var json = new LinkedHashMap<String, Object>();
        json.put("name", slot.name());
        json.put("scope", slot.scope().kind().name().toLowerCase(Locale.ROOT));
        json.put("dtype", slot.storage().name());
        json.put("sign", slot.sign().name().toLowerCase(Locale.ROOT));
        json.put("initial", initial(slot));
        json.put("kept_by_default", entry.kept().contains(slot.name()));
        json.put("bytes_per_parameter", slot.scope().isElement() ? slot.storage().bytes() : 0);
        return json;
    }

    private static Object initial(Spec.SlotSpec slot) {
        return slot.initial() instanceof Expr.Const(var type, long bits)
                ? Scalar.toDouble(type, bits) : Equations.text(slot.initial());
    }
}
