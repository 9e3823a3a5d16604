package dev.stepd.rule;

import dev.stepd.error.Fields;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/// A name that stands for a composition: what papers and libraries treat as an optimizer of its own.
///
/// @param spec its name, paper and hyperparameters; it keeps no slots of its own
/// @param meaning the composition that the hyperparameters describe
public record Preset(Spec spec, Function<Part, Composition> meaning) {
    /// @param optimizer `{"name": "lookahead", "k": 5, ...}`
    /// @throws dev.stepd.error.ServiceException `UNKNOWN_NAME` or `INVALID_VALUE` naming the field, the value and the bound
    Composition expand(Map<String, @Nullable Object> optimizer) {
        var fields = Fields.of("optimizer", optimizer);
        fields.requiredString("name");
        return meaning.apply(new Part(fields, "", spec));
    }

    /// What it stands for while nothing is set.
    public Composition byDefault() {
        return expand(Map.of("name", spec.name()));
    }
}
