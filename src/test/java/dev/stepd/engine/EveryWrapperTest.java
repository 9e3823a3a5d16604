package dev.stepd.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.error.ServiceException;
import dev.stepd.rule.Catalogue;
import dev.stepd.rule.Composition;
import dev.stepd.rule.Rule;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.Shape;
import dev.stepd.tensor.TensorSpec;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.jspecify.annotations.Nullable;

/// Wrappers and averages go around whatever there is: on a parabola every optimizer goes down wrapped as it does alone, goes
/// on from a snapshot bit for bit, leaves absent tensors alone and compiles nothing once it has seen all its steps.
class EveryWrapperTest {
    private static final CpuDevice DEVICE = new CpuDevice(1 << 26, 1);
    private static final Engine ENGINE = new Engine(DEVICE);
    private static final List<TensorSpec> TENSORS =
            List.of(new TensorSpec("w", Shape.of(3, 5), DType.F32), new TensorSpec("b", Shape.of(4), DType.F32));
    private static final int STEPS = 10;
    private static final int HALF = 5;
    private static final List<Map<String, Object>> INNER =
            List.of(Map.of("name", "grokfast", "lamb", 0.1), Map.of("name", "cautious"));
    private static final Map<String, Object> SCHEDULE_FREE = Map.of("name", "schedule_free");
    private static final Map<String, Object> LOOKAHEAD = Map.of("name", "lookahead", "k", 3);
    private static final List<String> AVERAGES = Catalogue.averages().stream().map(a -> a.spec().name()).toList();

    @AfterAll
    static void close() {
        ENGINE.close();
    }

    /// Every optimizer with all the wrappers there are, and one average after the other.
    static Stream<Arguments> optimizers() {
        return IntStream.range(0, Catalogue.rules().size()).mapToObj(i ->
                Arguments.of(Catalogue.rules().get(i), AVERAGES.get(i % AVERAGES.size())));
    }

    @ParameterizedTest
    @MethodSource("optimizers")
    void goesAroundEveryOptimizer(Rule rule, String average) {
        var wrap = new ArrayList<>(INNER);
        wrap.add(LOOKAHEAD);
        if (rule.spec().slots().stream().noneMatch(slot -> slot.name().equals("z"))) {
            wrap.add(SCHEDULE_FREE);
        } else {
            assertThatThrownBy(() -> ENGINE.create(blueprint(rule, List.of(SCHEDULE_FREE), null)))
                    .isInstanceOf(ServiceException.class).hasMessageContaining("slot z");
        }
        var blueprint = blueprint(rule, wrap, Map.of("name", average));
        try (var stepper = loaded(ENGINE.create(blueprint)); var restored = loaded(ENGINE.create(blueprint));
                var alone = loaded(ENGINE.create(blueprint(rule, List.of(), null)))) {
            double start = height(stepper);
            descend(alone, STEPS);
            descend(stepper, HALF);
            copy(stepper, restored);
            descend(stepper, STEPS);
            long compiled = DEVICE.compilations();
            descend(restored, STEPS);
            assertThat(DEVICE.compilations()).isEqualTo(compiled);
            assertThat(bits(restored)).isEqualTo(bits(stepper));
            assertThat(height(stepper)).isFinite();
            assertThat(heightOfAverage(stepper, average)).isFinite();
            if (height(alone) < start) {
                assertThat(height(stepper)).isLessThan(start);
            }
            leavesTheAbsentAlone(stepper);
        }
    }

    /// The longest window: a hundred and more arrays in one pass.
    @Test
    void windowsMoveUpOnePlaceEachStep() {
        var window = Map.<String, Object>of("name", "grokfast", "filter", "ma", "window_size", 128, "warmup", false);
        var blueprint = blueprint(Catalogue.find("sgd"), List.of(window), null);
        try (var stepper = loaded(ENGINE.create(blueprint))) {
            descend(stepper, 1);
            var newest = slot(stepper, "b#grad_window.127");
            assertThat(newest).isNotEqualTo(slot(stepper, "b#grad_window.126"));
            descend(stepper, 3);
            assertThat(slot(stepper, "b#grad_window.125")).isEqualTo(newest);
            assertThat(slot(stepper, "b#grad_window.124")).containsOnly((byte) 0);
        }
    }

    private static List<Byte> slot(Stepper stepper, String key) {
        return bits(stepper).get(key);
    }

    private static Engine.Blueprint blueprint(
            Rule rule, List<Map<String, Object>> wrap, @Nullable Map<String, Object> average) {
        var settings = new HashMap<String, Object>(Map.of("name", rule.spec().name()));
        rule.spec().hyperparameter("lr").ifPresent(_ -> settings.put("lr", 0.01));
        return new Engine.Blueprint(TENSORS, new Composition(settings, wrap, average, null, null), List.of(), null,
                Engine.NonFinite.REJECT);
    }

    private static Stepper loaded(Stepper stepper) {
        for (var part : stepper.parameters()) {
            var values = new float[(int) part.shape().elementCount()];
            for (int i = 0; i < values.length; i++) {
                values[i] = 0.5f + 0.25f * (i % 5 - 2.5f);
            }
            Values.put(values, part.array());
        }
        stepper.parametersLoaded();
        return stepper;
    }

    /// Steps down a parabola, whose gradient is the parameter.
    private static void descend(Stepper stepper, int until) {
        var present = new BitSet();
        present.set(0, TENSORS.size());
        try (var body = ENGINE.hostMemory().allocate(stepper.body().byteCount(), "a body")) {
            while (stepper.step() < until) {
                var given = GivenInputs.fill(stepper, body.segment());
                long at = 0;
                for (var part : stepper.parameters()) {
                    part.array().read(0, body.segment().asSlice(at, part.array().byteSize()));
                    at += part.array().byteSize();
                }
                assertThat(stepper.step(body.segment(), present, given)).isEqualTo(Stepper.Outcome.APPLIED);
            }
        }
    }

    private static void leavesTheAbsentAlone(Stepper stepper) {
        var present = new BitSet();
        present.set(1);
        try (var body = ENGINE.hostMemory().allocate(stepper.body().byteCount(), "a body")) {
            var given = GivenInputs.fill(stepper, body.segment());
            var before = bits(stepper);
            stepper.step(body.segment(), present, given);
            var after = bits(stepper);
            before.keySet().removeIf(key -> !key.startsWith("w"));
            assertThat(after).containsAllEntriesOf(before);
        }
    }

    private static double height(Stepper stepper) {
        return stepper.parameters().stream().mapToDouble(part -> squares(Values.floats(part.array()))).sum();
    }

    private static double heightOfAverage(Stepper stepper, String name) {
        assertThat(stepper.averages()).contains(name);
        try (var into = ENGINE.hostMemory().allocate(stepper.body().byteCount(), "an average")) {
            stepper.average(name, into.segment());
            return squares(into.segment().asSlice(0, stepper.layout().elementCount() * Float.BYTES).toArray(ValueLayout.JAVA_FLOAT));
        }
    }

    private static double squares(float[] values) {
        double sum = 0;
        for (float value : values) {
            sum += value * value;
        }
        return sum;
    }

    private static Map<String, List<Byte>> bits(Stepper stepper) {
        var bits = new HashMap<String, List<Byte>>();
        parts(stepper).forEach(part -> bits.put(part.key(), Training.list(Values.bytes(part.array()))));
        return bits;
    }

    private static List<StatePart> parts(Stepper stepper) {
        var parts = new ArrayList<>(stepper.parameters());
        parts.addAll(stepper.slots());
        return parts;
    }

    private static void copy(Stepper from, Stepper to) {
        var source = parts(from);
        var target = parts(to);
        for (int i = 0; i < source.size(); i++) {
            Values.copy(source.get(i).array(), target.get(i).array());
        }
        to.resumeAt(from.step(), from.tensorSteps());
    }
}
