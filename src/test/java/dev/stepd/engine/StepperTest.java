package dev.stepd.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.engine.Training.Tensor;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// What a step does besides the optimizer's arithmetic: gradients that are not finite, steps of nothing, counters.
class StepperTest {
    private static final List<Tensor> TENSORS = List.of(Tensor.of("a", 4, 5), Tensor.of("b", 40), Tensor.of("c", 3));
    private static final Map<String, Object> ADAMW = Map.of("name", "adamw", "lr", 0.01);

    private static Training training(Engine.NonFinite policy) {
        var plain = Training.blueprint(TENSORS, ADAMW, List.of(), null, null);
        return new Training(new CpuDevice(1L << 26, 2), TENSORS, new Engine.Blueprint(
                plain.tensors(), plain.composition(), plain.groups(), plain.schedule(), policy));
    }

    private static void poison(Training training, String tensor, float value) {
        training.gradients(List.of("a", "b", "c"));
        var place = training.stepper().layout().places().stream()
                .filter(p -> p.tensor().name().equals(tensor))
                .findFirst()
                .orElseThrow();
        training.body().setAtIndex(ValueLayout.JAVA_FLOAT, place.offset() + place.elementCount() - 1, value);
    }

    private static Stepper.Outcome stepAll(Training training) {
        return training.stepper().step(training.body(), training.present(List.of("a", "b", "c")));
    }

    @ParameterizedTest
    @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})
    void rejectionChangesNothing(float value) {
        try (var training = training(Engine.NonFinite.REJECT); var undisturbed = training(Engine.NonFinite.REJECT)) {
            training.step();
            undisturbed.step();
            poison(training, "b", value);
            var before = training.bits();
            assertThat(stepAll(training)).isEqualTo(Stepper.Outcome.REJECTED);
            assertThat(training.bits()).as("gradients included").isEqualTo(before);
            assertThat(training.stepper().nonFiniteKey()).isEqualTo("b");
            assertThat(training.stepper().step()).isEqualTo(1);
            assertThat(training.stepper().tensorSteps()).containsExactly(1L, 1L, 1L);
            training.step();
            undisturbed.step();
            assertThat(training.bits()).isEqualTo(undisturbed.bits());
        }
    }

    @Test
    void skippedStepsCountAndNothingMoves() {
        try (var training = training(Engine.NonFinite.SKIP)) {
            training.step();
            var before = training.bits();
            poison(training, "c", Float.NaN);
            assertThat(stepAll(training)).isEqualTo(Stepper.Outcome.SKIPPED);
            assertThat(training.stepper().step()).isEqualTo(2);
            assertThat(training.stepper().tensorSteps()).as("the optimizer's own count").containsExactly(1L, 1L, 1L);
            for (var key : List.of("a", "b", "c", "a#exp_avg", "b#exp_avg_sq")) {
                assertThat(training.bits()).containsEntry(key, before.get(key));
            }
            assertThat(training.body().asSlice(0, 63 * Float.BYTES).toArray(ValueLayout.JAVA_FLOAT)).containsOnly(0f);
        }
    }

    @Test
    void skippedStepsHaveTheirOwnRate() {
        var schedule = Map.<String, Object>of("name", "linear", "total_steps", 10);
        var scheduled = Training.blueprint(TENSORS, ADAMW, List.of(), schedule, null);
        var blueprint = new Engine.Blueprint(
                scheduled.tensors(), ADAMW, List.of(), schedule, null, Engine.NonFinite.SKIP);
        try (var training = new Training(new CpuDevice(1L << 26, 2), TENSORS, blueprint)) {
            training.step();
            assertThat(training.stepper().lastLr()).isEqualTo(0.01);
            poison(training, "c", Float.NaN);
            stepAll(training);
            assertThat(training.stepper().lastLr()).isEqualTo(0.01 * 0.9);
        }
    }

    @Test
    void propagationStaysWithinTheElement() {
        try (var training = training(Engine.NonFinite.PROPAGATE)) {
            poison(training, "c", Float.NaN);
            assertThat(stepAll(training)).isEqualTo(Stepper.Outcome.APPLIED);
            var c = Values.floats(training.stepper().parameters().getLast().array());
            assertThat(c[2]).isNaN();
            assertThat(c[0]).isFinite();
            assertThat(training.stepper().lastGradNorm()).isNaN();
        }
    }

    /// A tensor that is absent is not looked at.
    @Test
    void absentTensorsMayHoldAnything() {
        try (var training = training(Engine.NonFinite.REJECT)) {
            poison(training, "b", Float.NaN);
            var outcome = training.stepper().step(training.body(), training.present(List.of("a", "c")));
            assertThat(outcome).isEqualTo(Stepper.Outcome.APPLIED);
            assertThat(training.stepper().tensorSteps()).containsExactly(1L, 0L, 1L);
        }
    }

    /// Squares are f64: no finite f32 gradient overflows them.
    @Test
    void largeGradientsAreFinite() {
        try (var training = training(Engine.NonFinite.REJECT)) {
            poison(training, "a", Float.MAX_VALUE);
            assertThat(stepAll(training)).isEqualTo(Stepper.Outcome.APPLIED);
            assertThat(training.stepper().lastGradNorm()).isEqualTo((double) Float.MAX_VALUE);
        }
    }

    @Test
    void aStepOfNothingMovesNothing() {
        try (var training = training(Engine.NonFinite.REJECT)) {
            training.step();
            var before = training.bits();
            training.stepper().resumeAt(1, training.stepper().tensorSteps());
            assertThat(training.step(List.of())).isEqualTo(Stepper.Outcome.APPLIED);
            assertThat(training.stepper().step()).isEqualTo(2);
            assertThat(training.stepper().tensorSteps()).containsExactly(1L, 1L, 1L);
            for (var key : List.of("a", "b", "c", "a#exp_avg", "b#exp_avg_sq")) {
                assertThat(training.bits()).containsEntry(key, before.get(key));
            }
        }
    }
}
