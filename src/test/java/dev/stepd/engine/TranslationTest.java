package dev.stepd.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.engine.Training.Tensor;
import dev.stepd.rule.Catalogue;
import dev.stepd.rule.Hyperparameter;
import dev.stepd.rule.Meaning;
import dev.stepd.rule.Rule;
import dev.stepd.rule.Settings;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// What slots mean, and what becomes of them under another optimizer.
class TranslationTest {
    private static final List<Tensor> TENSORS = List.of(Tensor.of("a", 4, 5), Tensor.of("b", 40), Tensor.of("c", 3));
    private static final double KEPT = 0.75;

    static List<Rule> rules() {
        return Catalogue.rules();
    }

    /// All that remember by the same number, from nothing, and decay nothing.
    private static Map<String, Object> alike(Rule rule) {
        var optimizer = new LinkedHashMap<String, Object>(Map.of("name", rule.spec().name()));
        for (var hyperparameter : rule.spec().hyperparameters()) {
            if (hyperparameter instanceof Hyperparameter.Real real) {
                if (real.range().max() == 1 && !real.range().maxIncluded() || real.name().equals("momentum")) {
                    optimizer.put(real.name(), KEPT);
                } else if (real.name().startsWith("weight_decay") || real.name().startsWith("initial_accumulator")) {
                    optimizer.put(real.name(), 0);
                }
            } else if (hyperparameter instanceof Hyperparameter.Flag flag && List.of("amsgrad", "centered").contains(flag.name())) {
                optimizer.put(flag.name(), true);
            }
        }
        return optimizer;
    }

    private static Map<String, Meaning> meanings(Map<String, Object> optimizer) {
        var settings = Settings.read(optimizer, List.of(), null);
        var meanings = new HashMap<String, Meaning>();
        settings.rule().kinds().forEach(kind -> meanings.putAll(Meaning.of(settings, kind)));
        return meanings;
    }

    /// The proof of every meaning: optimizers that met the same gradients hold the same bits in slots that mean the same.
    @Test
    void slotsThatMeanTheSameHoldTheSame() {
        var held = new TreeMap<String, String>();
        var by = new TreeMap<Meaning, List<String>>();
        for (var rule : rules()) {
            if (rule.spec().name().equals("dadapt_adagrad")) {
                continue; // whose sum starts at 1e-6, so that its bits are others
            }
            var optimizer = alike(rule);
            try (var training = Training.of(TENSORS, optimizer)) {
                for (int step = 0; step < 5; step++) {
                    training.step();
                }
                for (var recipe : training.stepper().optimizer().recipes()) {
                    var meanings = Meaning.of(recipe.settings(), recipe.kind().view());
                    for (var place : training.stepper().layout().places(recipe.kind())) {
                        meanings.forEach((slot, meaning) -> {
                            if (recipe.slots().stream().noneMatch(kept -> kept.name().equals(slot))) {
                                return;
                            }
                            var values = values(training, place.tensor().name() + "#" + slot);
                            var key = meaning + " of " + place.tensor().name();
                            assertThat(values).as(key + " by " + rule.spec().name() + "." + slot)
                                    .isEqualTo(held.getOrDefault(key, values));
                            held.put(key, values);
                            by.computeIfAbsent(meaning, _ -> new ArrayList<>()).add(rule.spec().name() + "." + slot);
                        });
                    }
                }
            }
        }
        assertThat(by.keySet()).containsExactlyInAnyOrder(Meaning.values());
        assertThat(by.get(Meaning.MEAN_GRADIENT)).contains("adamw.exp_avg", "lion.exp_avg", "signum.momentum_buffer");
        assertThat(by.get(Meaning.MEAN_SQUARE)).contains("adam.exp_avg_sq", "rmsprop.square_avg", "lamb.exp_avg_sq");
    }

    private static String values(Training training, String key) {
        return training.stepper().slots().stream()
                .filter(part -> part.key().equals(key))
                .map(part -> Arrays.toString(Values.floats(part.array())))
                .findFirst()
                .orElseThrow();
    }

    @Test
    void dependsOnTheSettings() {
        assertThat(meanings(Map.of("name", "sgd", "momentum", 0.9))).containsOnly(Map.entry("momentum_buffer", Meaning.MOMENTUM));
        assertThat(meanings(Map.of("name", "sgd", "momentum", 0.9, "dampening", 0.5))).isEmpty();
        assertThat(meanings(Map.of("name", "novograd"))).as("of normalized gradients").isEmpty();
        assertThat(meanings(Map.of("name", "fedadam"))).containsEntry("exp_avg", Meaning.MEAN_CHANGE);
        assertThat(meanings(Map.of("name", "rmsprop", "centered", true))).containsEntry("grad_avg", Meaning.CENTER);
        assertThat(meanings(Map.of("name", "adam", "weight_decay", 0.1))).containsEntry("exp_avg", Meaning.MEAN_GRADIENT);
    }

    /// Whatever optimizer a session goes over to, its first steps are no longer than those of one that always was it.
    @ParameterizedTest
    @MethodSource("rules")
    void noStepIsLongerThanWithoutTheChange(Rule target) {
        for (var source : Stream.of("adamw", "lion", "sgd", "rmsprop", "adagrad", "nadam").toList()) {
            try (var before = Training.of(TENSORS, Map.of("name", source, "lr", 0.001));
                    var always = Training.of(TENSORS, Map.of("name", target.spec().name()));
                    var after = Training.of(TENSORS, Map.of("name", target.spec().name()))) {
                double longest = 0;
                for (int step = 0; step < 40; step++) {
                    before.step();
                    longest = Math.max(longest, length(always));
                }
                new Translation(before.stepper().optimizer(), after.stepper().optimizer()).apply(before.stepper(), after.stepper());
                assertThat(after.stepper().step()).isEqualTo(40);
                for (int step = 0; step < 3; step++) {
                    assertThat(length(after)).as("from " + source).isLessThanOrEqualTo(3 * longest + 1e-6);
                }
            }
        }
    }

    private static double length(Training training) {
        training.step();
        double most = 0;
        for (var place : training.stepper().layout().places()) {
            for (long i = 0; i < place.elementCount(); i++) {
                float delta = training.body().getAtIndex(ValueLayout.JAVA_FLOAT, place.offset() + i);
                assertThat(delta).isFinite();
                most = Math.max(most, Math.abs(delta));
            }
        }
        return most;
    }

    @ParameterizedTest
    @MethodSource("dev.stepd.engine.Training#optimizers")
    void isNothingBetweenTheSame(Map<String, Object> optimizer) {
        try (var before = Training.of(TENSORS, optimizer); var after = Training.of(TENSORS, optimizer)) {
            for (int step = 0; step < 3; step++) {
                before.step();
            }
            var translation = new Translation(before.stepper().optimizer(), after.stepper().optimizer());
            assertThat(translation.isIdentity()).isTrue();
            assertThat(translation.restarts()).isEmpty();
            translation.apply(before.stepper(), after.stepper());
            assertThat(after.stepper().step()).isEqualTo(3);
            assertThat(slots(after)).isEqualTo(slots(before));
        }
    }

    private static Map<String, List<Byte>> slots(Training training) {
        var slots = new TreeMap<String, List<Byte>>();
        Stream.concat(training.stepper().parameters().stream(), training.stepper().slots().stream()).forEach(part -> {
            var bytes = new ArrayList<Byte>();
            for (byte b : Values.bytes(part.array())) {
                bytes.add(b);
            }
            slots.put(part.key(), bytes);
        });
        return slots;
    }
}
