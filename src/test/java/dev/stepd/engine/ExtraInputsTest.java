package dev.stepd.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.engine.Engine.NonFinite;
import dev.stepd.engine.Training.Tensor;
import java.lang.foreign.ValueLayout;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// What comes with a step beside gradients: where it lies, what it may hold, and that a step without is one without.
class ExtraInputsTest {
    private static final List<Tensor> TENSORS = List.of(Tensor.of("a", 7), Tensor.of("b", 3, 5), Tensor.of("c", 2));
    private static final BitSet NONE = new BitSet();

    private static Training training(String optimizer, NonFinite policy) {
        var description = Map.<String, Object>of("name", optimizer);
        var plain = Training.blueprint(TENSORS, description, List.of(), null, null);
        return new Training(new CpuDevice(1L << 24, 2), TENSORS, new Engine.Blueprint(
                plain.tensors(), plain.composition(), plain.groups(), plain.schedule(), policy));
    }

    private static long at(Training training, String tensor) {
        var places = training.stepper().layout().places();
        var place = places.stream().filter(p -> p.tensor().name().equals(tensor)).findFirst().orElseThrow();
        return training.stepper().body().inputs().getFirst().offset() + place.offset() * Float.BYTES;
    }

    private static Stepper.Outcome step(Training training, BitSet given) {
        return training.stepper().step(training.body(), training.present(List.of("a", "b", "c")), given);
    }

    @Test
    void bodiesWithoutInputsAreTheirGradients() {
        try (var training = training("adamw", NonFinite.REJECT)) {
            assertThat(training.stepper().body().inputs()).isEmpty();
            assertThat(training.stepper().body().byteCount()).isEqualTo((7 + 15 + 2) * Float.BYTES + 64);
        }
    }

    @ParameterizedTest
    @CsvSource({"sophia_g, hessian", "sophia_h, hessian_moment"})
    void anEstimateThatIsNotGivenChangesNothing(String optimizer, String slot) {
        try (var without = training(optimizer, NonFinite.REJECT); var poisoned = training(optimizer, NonFinite.REJECT)) {
            without.step();
            poisoned.step();
            var hessian = without.bits().get("b#" + slot);
            for (var training : List.of(without, poisoned)) {
                training.gradients(List.of("a", "b", "c"));
            }
            poisoned.body().set(ValueLayout.JAVA_FLOAT, at(poisoned, "b"), Float.NaN);
            assertThat(step(without, NONE)).isEqualTo(Stepper.Outcome.APPLIED);
            assertThat(step(poisoned, NONE)).isEqualTo(Stepper.Outcome.APPLIED);
            assertThat(without.bits()).containsEntry("b#" + slot, hessian).isEqualTo(poisoned.bits());
            without.step();
            assertThat(without.bits().get("b#" + slot)).isNotEqualTo(hessian);
        }
    }

    /// Tensors that disagree in what the host decides run a program that keeps every choice.
    @ParameterizedTest
    @CsvSource({"sophia_g", "sophia_h", "sania"})
    void absentTensorsTakeNoPart(String optimizer) {
        try (var training = training(optimizer, NonFinite.REJECT)) {
            training.step(List.of("a"));
            var before = training.bits("b");
            training.gradients(List.of("a", "c"));
            for (long i = 0; i < 15 && !optimizer.equals("sania"); i++) {
                training.body().set(ValueLayout.JAVA_FLOAT, at(training, "b") + i * Float.BYTES, Float.NaN);
            }
            var outcome = training.stepper().step(training.body(), training.present(List.of("a", "c")), training.given());
            assertThat(outcome).isEqualTo(Stepper.Outcome.APPLIED);
            before.remove("delta of ");
            assertThat(training.bits("b")).containsAllEntriesOf(before);
        }
    }

    @ParameterizedTest
    @CsvSource({"sophia_g, b#hess_grad", "sophia_h, b#hessian_diag", "sania, #loss"})
    void whatIsNotFiniteIsRejectedByName(String optimizer, String key) {
        try (var training = training(optimizer, NonFinite.REJECT); var undisturbed = training(optimizer, NonFinite.REJECT)) {
            training.step();
            undisturbed.step();
            poison(training, key, Float.NEGATIVE_INFINITY);
            var before = training.bits();
            assertThat(step(training, training.given())).isEqualTo(Stepper.Outcome.REJECTED);
            assertThat(training.bits()).isEqualTo(before);
            assertThat(training.stepper().nonFiniteKey()).isEqualTo(key);
            assertThat(training.stepper().lastGradNorm()).isFinite();
            training.step();
            undisturbed.step();
            assertThat(training.bits()).isEqualTo(undisturbed.bits());
        }
    }

    @ParameterizedTest
    @CsvSource({"sophia_g, b#hess_grad", "sania, #loss"})
    void whatIsNotFiniteIsSkipped(String optimizer, String key) {
        try (var training = training(optimizer, NonFinite.SKIP)) {
            training.step();
            var before = training.bits("b");
            poison(training, key, Float.NaN);
            assertThat(step(training, training.given())).isEqualTo(Stepper.Outcome.SKIPPED);
            assertThat(training.stepper().step()).isEqualTo(2);
            before.put("delta of ", before.get("delta of ").stream().map(_ -> (byte) 0).toList());
            assertThat(training.bits("b")).isEqualTo(before);
        }
    }

    @Test
    void whatIsNotFiniteIsPassedOn() {
        try (var training = training("sophia_g", NonFinite.PROPAGATE)) {
            poison(training, "b#hess_grad", Float.NaN);
            assertThat(step(training, training.given())).isEqualTo(Stepper.Outcome.APPLIED);
            var slots = training.stepper().slots().stream().filter(part -> part.key().equals("b#hessian"));
            assertThat(Values.floats(slots.findFirst().orElseThrow().array())[0]).isNaN();
        }
    }

    private static void poison(Training training, String key, float value) {
        training.gradients(List.of("a", "b", "c"));
        var tensor = key.substring(0, key.indexOf('#'));
        long at = tensor.isEmpty() ? training.stepper().body().inputs().getFirst().offset() : at(training, tensor);
        training.body().set(ValueLayout.JAVA_FLOAT, at, value);
    }

    @Test
    void aRequiredInputIsRequired() {
        try (var training = training("sania", NonFinite.REJECT)) {
            training.gradients(List.of("a", "b", "c"));
            assertThatThrownBy(() -> step(training, NONE)).isInstanceOf(IllegalStateException.class).hasMessageContaining("loss");
        }
    }
}
