package dev.stepd.rule;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Type;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Wrappers that change updates get every rule's once: the whole step where nothing decays, and never the decay.
class UpdatesTest {
    static Stream<Map<String, Object>> optimizers() {
        return Catalogue.rules().stream().flatMap(rule -> variants(rule.spec()).stream());
    }

    private static List<Map<String, Object>> variants(Spec spec) {
        var variants = new ArrayList<Map<String, Object>>();
        variants.add(Map.of("name", spec.name()));
        if (spec.hyperparameter("weight_decay").isPresent()) {
            variants.add(Map.of("name", spec.name(), "weight_decay", 0.1));
            for (var decoupled : List.of("decoupled", "weight_decouple", "no_prox")) {
                if (spec.hyperparameter(decoupled).orElse(null) instanceof Hyperparameter.Flag flag) {
                    variants.add(Map.of("name", spec.name(), "weight_decay", 0.1, decoupled, !flag.initial()));
                }
            }
        }
        return variants;
    }

    @ParameterizedTest
    @MethodSource("optimizers")
    void areMetOnce(Map<String, Object> optimizer) {
        var settings = Settings.read(optimizer, List.of(), null);
        for (var kind : settings.rule().kinds()) {
            var updates = new ArrayList<Expr>();
            Inner.all(settings, kind, Type.F32, new Expr.Read(Inputs.grad(Type.F32)))
                    .updating((update, grad) -> {
                        updates.add(update);
                        return update;
                    })
                    .step();
            assertThat(updates).as(kind).hasSize(1);
        }
    }
}
