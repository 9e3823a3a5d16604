package dev.stepd.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.stepd.device.Device;
import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.device.cuda.ShimDevices;
import dev.stepd.engine.Training.Tensor;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.TensorSpec;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/// What a step measures: the norms of deltas and parameters against sums over what it left, what clipping did, what was not
/// finite; and that nothing else depends on whether it is measured.
class NormsTest {
    private static final List<Tensor> TENSORS = List.of(
            Tensor.of("a", 30, 40), Tensor.of("b", 7, 11), Tensor.of("c", 2_900), Tensor.of("d", 3, 3, 5, 5), Tensor.of("e", 0, 4), Tensor.of("f"));
    private static final List<String> ALL = TENSORS.stream().map(Tensor::name).toList();
    private static final List<String> SOME = List.of("a", "d");
    private static final double EXACT = 1e-12;

    static Stream<Map<String, Object>> optimizers() {
        return Stream.concat(Training.optimizers(), Stream.of(
                EveryFormatTest.kept(Map.of("name", "adamw"), "int8"),
                EveryFormatTest.kept(Map.of("name", "lion"), "int4"),
                EveryFormatTest.kept(Map.of("name", "adam"), "bf16")));
    }

    private static Training training(Device device, Map<String, Object> optimizer, Engine.Metrics metrics,
            @Nullable Map<String, Object> clip) {
        var plain = Training.blueprint(TENSORS, optimizer, List.of(), null, clip == null ? Training.composition(optimizer).clip() : clip);
        return new Training(device, TENSORS, new Engine.Blueprint(
                plain.tensors(), plain.composition(), plain.groups(), plain.schedule(), plain.nonFinite(), metrics));
    }

    private static Device cpu() {
        return new CpuDevice(1L << 28, 2);
    }

    @ParameterizedTest
    @MethodSource("optimizers")
    void normsAreThoseOfWhatAStepLeaves(Map<String, Object> optimizer) {
        try (var measured = training(cpu(), optimizer, Engine.Metrics.NORMS, null);
                var plain = training(cpu(), optimizer, Engine.Metrics.GRADIENT, null)) {
            for (var names : List.of(ALL, ALL, SOME, ALL)) {
                measured.step(names);
                plain.step(names);
                assertThat(measured.bits()).isEqualTo(plain.bits());
                check(measured, names);
                assertThat(plain.stepper().lastUpdateNorm()).isNaN();
                assertThat(plain.stepper().lastParamNorm()).isNaN();
            }
        }
    }

    private static void check(Training training, List<String> names) {
        double updates = 0;
        double parameters = 0;
        var stepper = training.stepper();
        for (int i = 0; i < stepper.layout().places().size(); i++) {
            var place = stepper.layout().places().get(i);
            if (names.contains(place.tensor().name())) {
                for (long at = place.offset(); at < place.offset() + place.elementCount(); at++) {
                    updates += Math.pow(training.body().getAtIndex(ValueLayout.JAVA_FLOAT, at), 2);
                }
                for (float value : Values.floats(stepper.parameters().get(i).array())) {
                    parameters += (double) value * value;
                }
            }
        }
        assertThat(stepper.lastUpdateNorm()).isCloseTo(Math.sqrt(updates), within(EXACT * Math.sqrt(updates)));
        assertThat(stepper.lastParamNorm()).isCloseTo(Math.sqrt(parameters), within(EXACT * Math.sqrt(parameters)));
    }

    static Stream<Map<String, Object>> someOptimizers() {
        return CudaSubjects.some();
    }

    /// Chunk by chunk and all at once.
    @ParameterizedTest
    @MethodSource("someOptimizers")
    void everyDeviceHasTheSameDigits(Map<String, Object> optimizer) {
        Assumptions.assumeTrue(ShimDevices.shared().isPresent(), "there is no CUDA device and no shim");
        for (var device : List.of(ShimDevices.open().getFirst(), ShimDevices.openInPieces().getFirst())) {
            try (var here = training(cpu(), optimizer, Engine.Metrics.NORMS, null);
                    var there = training(device, optimizer, Engine.Metrics.NORMS, null)) {
                for (var names : List.of(ALL, SOME, ALL)) {
                    here.step(names);
                    there.step(names);
                    assertThat(there.bits()).isEqualTo(here.bits());
                    assertThat(there.stepper().lastUpdateNorm()).isEqualTo(here.stepper().lastUpdateNorm());
                    assertThat(there.stepper().lastParamNorm()).isEqualTo(here.stepper().lastParamNorm());
                    assertThat(there.stepper().lastClipFactor()).isEqualTo(here.stepper().lastClipFactor());
                }
            }
        }
    }

    /// Deltas and parameters as the client has them, not as the master does.
    @ParameterizedTest
    @EnumSource(value = DType.class, names = {"BF16", "F16"})
    void parametersOfTwoBytesMeasureAsSent(DType dtype) {
        var specs = TENSORS.stream().map(tensor -> new TensorSpec(tensor.name(), tensor.shape(), dtype)).toList();
        var blueprint = new Engine.Blueprint(specs, Training.composition(Map.of("name", "sgd", "lr", 0.3)), List.of(), null,
                Engine.NonFinite.REJECT, Engine.Metrics.NORMS);
        try (var device = new CpuDevice(1L << 28, 2);
                var stepper = new Engine(device).create(blueprint);
                var body = device.host().allocate(stepper.body().byteCount(), "a body")) {
            for (var part : stepper.parameters()) {
                Values.put(codes((int) part.shape().elementCount(), dtype), part.array());
            }
            stepper.parametersLoaded();
            var gradients = body.segment();
            long elements = stepper.layout().elementCount();
            for (long i = 0; i < elements; i++) {
                gradients.setAtIndex(ValueLayout.JAVA_FLOAT, i, (i % 13 - 6) * 0.11f);
            }
            var present = new BitSet();
            present.set(0, TENSORS.size());
            stepper.step(gradients, present);
            double updates = 0;
            for (long i = 0; i < elements; i++) {
                updates += Math.pow(gradients.getAtIndex(ValueLayout.JAVA_FLOAT, i), 2);
            }
            double parameters = stepper.parameters().stream().mapToDouble(part -> squares(Values.bytes(part.array()), dtype)).sum();
            assertThat(stepper.lastUpdateNorm()).isCloseTo(Math.sqrt(updates), within(EXACT * Math.sqrt(updates)));
            assertThat(stepper.lastParamNorm()).isCloseTo(Math.sqrt(parameters), within(EXACT * Math.sqrt(parameters)));
        }
    }

    private static byte[] codes(int count, DType dtype) {
        var codes = new byte[2 * count];
        var segment = MemorySegment.ofArray(codes);
        for (int i = 0; i < count; i++) {
            float value = (i % 29 - 14) * 0.25f;
            short code = dtype == DType.BF16 ? (short) (Float.floatToRawIntBits(value) >>> 16) : Float.floatToFloat16(value);
            segment.setAtIndex(ValueLayout.JAVA_SHORT_UNALIGNED, i, code);
        }
        return codes;
    }

    private static double squares(byte[] codes, DType dtype) {
        double sum = 0;
        for (int i = 0; i < codes.length / 2; i++) {
            short code = MemorySegment.ofArray(codes).getAtIndex(ValueLayout.JAVA_SHORT_UNALIGNED, i);
            float value = dtype == DType.BF16 ? Float.intBitsToFloat(code << 16) : Float.float16ToFloat(code);
            sum += (double) value * value;
        }
        return sum;
    }

    @Test
    void withoutParametersNobodyKnowsTheirNorm() {
        var blueprint = new Engine.Blueprint(List.of(new TensorSpec("w", TENSORS.getFirst().shape(), DType.F32)),
                Training.composition(Map.of("name", "sgd", "lr", 1.0)), List.of(), null, Engine.NonFinite.SKIP, Engine.Metrics.NORMS);
        try (var device = new CpuDevice(1L << 28, 2);
                var stepper = new Engine(device).create(blueprint);
                var body = device.host().allocate(stepper.body().byteCount(), "a body")) {
            var present = new BitSet();
            present.set(0);
            body.segment().setAtIndex(ValueLayout.JAVA_FLOAT, 0, 3);
            body.segment().setAtIndex(ValueLayout.JAVA_FLOAT, 1199, -4);
            stepper.step(body.segment(), present);
            assertThat(stepper.lastUpdateNorm()).isEqualTo(5);
            assertThat(stepper.lastParamNorm()).isNaN();
            body.segment().setAtIndex(ValueLayout.JAVA_FLOAT, 5, Float.NaN);
            assertThat(stepper.step(body.segment(), present)).isEqualTo(Stepper.Outcome.SKIPPED);
            assertThat(stepper.lastUpdateNorm()).isZero();
            assertThat(stepper.lastNonFinite()).isEqualTo(Map.of("w", 1L));
        }
    }

    @Test
    void whatIsMeasuredMayChange() {
        try (var training = training(cpu(), Map.of("name", "adamw"), Engine.Metrics.GRADIENT, null);
                var measured = training(cpu(), Map.of("name", "adamw"), Engine.Metrics.NORMS, null)) {
            training.step();
            measured.step();
            assertThat(training.stepper().lastUpdateNorm()).isNaN();
            var plain = Training.blueprint(TENSORS, Map.of("name", "adamw"), List.of(), null, null);
            training.stepper().reconfigure(Optimizer.of(new Engine.Blueprint(plain.tensors(), plain.composition(), plain.groups(),
                    null, plain.nonFinite(), Engine.Metrics.NORMS)), plain.nonFinite());
            training.step();
            measured.step();
            assertThat(training.bits()).isEqualTo(measured.bits());
            assertThat(training.stepper().lastUpdateNorm()).isEqualTo(measured.stepper().lastUpdateNorm());
            assertThat(training.stepper().lastParamNorm()).isEqualTo(measured.stepper().lastParamNorm());
        }
    }

    @Test
    void clippingTellsByHowMuch() {
        assertThat(factor(null)).isEqualTo(1);
        double norm = norm();
        assertThat(factor(Map.of("global_norm", 1e9))).isEqualTo(1);
        assertThat(factor(Map.of("global_norm", 0.5))).isEqualTo(0.5 / (norm + 1e-6));
        assertThat(factor(Map.of("value", 1e9))).isEqualTo(1);
        assertThat(factor(Map.of("value", 0.001))).isBetween(1e-4, 0.9);
        assertThat(factor(Map.of("agc", 0.01))).isNaN();
        assertThat(factor(Map.of("value", 0.001), Engine.Metrics.GRADIENT)).isNaN();
        assertThat(factor(Map.of("global_norm", 0.5, "norm_type", 1), Engine.Metrics.GRADIENT)).isBetween(1e-9, 0.5 / norm);
    }

    private static double factor(@Nullable Map<String, Object> clip) {
        return factor(clip, Engine.Metrics.NORMS);
    }

    private static double factor(@Nullable Map<String, Object> clip, Engine.Metrics metrics) {
        try (var training = training(cpu(), Map.of("name", "sgd"), metrics, clip)) {
            training.step();
            return training.stepper().lastClipFactor();
        }
    }

    private static double norm() {
        try (var training = training(cpu(), Map.of("name", "sgd"), Engine.Metrics.GRADIENT, null)) {
            training.step();
            return training.stepper().lastGradNorm();
        }
    }

    @Test
    void nonFiniteElementsAreCountedByTensor() {
        try (var training = training(cpu(), Map.of("name", "sgd"), Engine.Metrics.GRADIENT, null)) {
            training.step();
            assertThat(training.stepper().lastNonFinite()).isEmpty();
            training.gradients(ALL);
            for (var place : training.stepper().layout().places()) {
                if (place.tensor().name().equals("b") || place.tensor().name().equals("c")) {
                    training.body().setAtIndex(ValueLayout.JAVA_FLOAT, place.offset() + 3, Float.NaN);
                    training.body().setAtIndex(ValueLayout.JAVA_FLOAT, place.offset() + 70, Float.NEGATIVE_INFINITY);
                }
            }
            assertThat(training.stepper().step(training.body(), training.present(List.of("a", "b", "d"))))
                    .isEqualTo(Stepper.Outcome.REJECTED);
            assertThat(training.stepper().lastNonFinite()).as("tensors that take part").isEqualTo(Map.of("b", 2L));
        }
    }
}
