package dev.stepd.rule;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.expr.equation.Equation;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Every name of the catalogue says all that the catalogue has to tell.
class EntryTest {
    private static final String YEAR = "(19|20)\\d\\d";
    /// An address, or the journal or conference a year stands behind.
    private static final String PLACE = "arXiv:\\d{4}\\.\\d{4,5}|doi:\\S+|https://\\S+|[A-Z]\\w+[\\w. ]* " + YEAR;
    /// `repository@commit`, `package version`, or the paper itself where nobody has published an implementation.
    private static final String SOURCE = "[\\w.-]+/[\\w.-]+@[0-9a-f]{7,40} .*|[a-z]+ \\d+\\.\\d+\\.\\d+ .*|.*(the paper|equation).*";

    static Stream<Entry> entries() {
        return Entry.all().stream();
    }

    @ParameterizedTest
    @MethodSource("entries")
    void saysWhatItIsAndWhereItComesFrom(Entry entry) {
        var spec = entry.spec();
        assertThat(spec.title()).as("title").isNotBlank().doesNotEndWith(".");
        assertThat(spec.paper()).as("authors and title").matches("[A-Z][^:]+: \\S.*");
        assertThat(spec.paper()).as("year").containsPattern("\\b" + YEAR + "\\b");
        assertThat(spec.paper()).as("where the paper is").containsPattern(PLACE);
        assertThat(spec.reference()).as("whose numbers it gives").matches(SOURCE);
    }

    @ParameterizedTest
    @MethodSource("entries")
    void saysWhatEverySettingMeans(Entry entry) {
        assertThat(entry.spec().hyperparameters()).isNotEmpty().allSatisfy(hyperparameter -> {
            assertThat(hyperparameter.meaning()).as(hyperparameter.name()).contains(" ").doesNotEndWith(".");
            if (hyperparameter instanceof Hyperparameter.Real real) {
                assertThat(real.range().contains(real.initial())).as("default of %s in its range", real.name()).isTrue();
            }
        });
    }

    @ParameterizedTest
    @MethodSource("entries")
    void hasAnEquationForTheDeltaAndEverySlotItKeeps(Entry entry) {
        for (var step : entry.steps()) {
            var names = step.equations().stream().map(Equation::name).toList();
            assertThat(names).doesNotHaveDuplicates().contains("delta");
            for (var slot : step.slots()) {
                boolean fixed = slot.startsAtParameter() || names.contains(slot.name() + "_state'");
                assertThat(fixed || names.contains(slot.name() + "'")).as("an equation of %s", slot.name()).isTrue();
            }
        }
    }

    @Test
    void namesSettingsThatMakeOtherEquations() {
        assertThat(entry("sgd").variations()).containsExactly("momentum other than 0", "weight_decay other than 0",
                "maximize = true", "nesterov = true (with momentum other than 0)");
        assertThat(entry("signsgd").variations()).isEmpty();
        assertThat(entry("amsgrad").variations()).contains("max_on = bias_corrected");
    }

    @Test
    void keepsWhatTheDefaultsUse() {
        assertThat(kept("rmsprop", 0)).containsExactly("square_avg");
        assertThat(entry("rmsprop").slots()).extracting(Spec.SlotSpec::name)
                .containsExactly("square_avg", "grad_avg", "momentum_buffer");
        assertThat(entry("rmsprop").needsParameters()).isFalse();
        assertThat(entry("adamw").needsParameters()).isTrue();
        assertThat(kept("madgrad", 0)).containsExactly("grad_sum_sq", "s", "x0");
    }

    @Test
    void tellsKindsOfTensorsApart() {
        assertThat(entry("scale").steps()).extracting(Entry.Step::tensors)
                .containsExactly("matrix", "matrix with momentum", "vector");
        assertThat(kept("scale", 0)).isEmpty();
        assertThat(kept("scale", 2)).containsExactly("moment1", "moment2");
    }

    @Test
    void tellsOfCompositionsByWhatTheyStandFor() {
        assertThat(kept("weight_ema", 0)).containsExactly("average");
        var ema = entries().filter(e -> e.kind() == Entry.Kind.AVERAGE && e.spec().name().equals("ema")).findFirst().orElseThrow();
        assertThat(ema.steps().getFirst().averages()).extracting(Equation::toString).containsExactly("average = average");
        assertThat(ema.steps().getFirst().equations()).extracting(Equation::name).containsExactly("delta", "average'");
    }

    @Test
    void writesEquationsAsPapersDo() {
        assertThat(entry("lion").steps().getFirst().equations()).extracting(Equation::toString).isEqualTo(List.of(
                "delta = -lr * sign(beta1 * exp_avg + (1 - beta1) * g)",
                "exp_avg' = beta2 * exp_avg + (1 - beta2) * g"));
        assertThat(entry("adamw").steps().getFirst().equations()).extracting(Equation::toString).isEqualTo(List.of(
                "exp_avg' = beta1 * exp_avg + (1 - beta1) * g",
                "exp_avg_sq' = beta2 * exp_avg_sq + (1 - beta2) * g^2",
                "delta = -lr / (1 - beta1^t) * exp_avg' / (sqrt(exp_avg_sq') / sqrt(1 - beta2^t) + eps)"
                        + " - lr * weight_decay * p"));
    }

    private static Entry entry(String name) {
        return entries().filter(entry -> entry.spec().name().equals(name)).findFirst().orElseThrow();
    }

    private static List<String> kept(String name, int step) {
        return entry(name).steps().get(step).slots().stream().map(Spec.SlotSpec::name).toList();
    }
}
