package dev.stepd.golden;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.engine.Engine;
import dev.stepd.engine.Stepper;
import dev.stepd.rule.Catalogue;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.Shape;
import dev.stepd.tensor.TensorSpec;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.BitSet;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Every optimizer replays what its authors' own code did, through the engine on generated kernels.
class GoldenTest {
    static Stream<GoldenFile> files() {
        return GoldenFile.of(Catalogue.rules().stream().map(rule -> rule.spec().name()).toList());
    }

    @ParameterizedTest
    @MethodSource("files")
    void replaysOnTheEngine(GoldenFile file) {
        try (var engine = new Engine(new CpuDevice(1 << 28, 2)); var stepper = engine.create(blueprint(file))) {
            load(file, stepper);
            try (var body = engine.memory().allocate(stepper.body().byteCount(), "a body")) {
                var present = new BitSet();
                present.set(0, file.tensors().size());
                for (int t = 1; t <= file.steps(); t++) {
                    var given = file.fill(stepper, body.segment(), t);
                    assertThat(stepper.step(body.segment(), present, given)).isEqualTo(Stepper.Outcome.APPLIED);
                    check(file, stepper, t);
                }
            }
        }
    }

    private static Engine.Blueprint blueprint(GoldenFile file) {
        var tensors = file.tensors().entrySet().stream()
                .map(e -> new TensorSpec(e.getKey(), new Shape(e.getValue()), DType.F32))
                .toList();
        return new Engine.Blueprint(
                tensors, file.description(), List.of(), null, null, Engine.NonFinite.REJECT);
    }

    private static void load(GoldenFile file, Stepper stepper) {
        for (var part : stepper.parameters()) {
            part.data().copyFrom(MemorySegment.ofArray(file.get("param/" + part.key() + "/0")));
        }
        stepper.parametersLoaded();
    }

    private static void check(GoldenFile file, Stepper stepper, int t) {
        for (var part : stepper.parameters()) {
            Closeness.checkParameter(file, part.key(), t, part.data().toArray(ValueLayout.JAVA_FLOAT));
        }
        int checked = 0;
        for (var part : stepper.slots()) {
            var tensor = part.key().substring(0, part.key().indexOf('#'));
            var state = part.key().substring(part.key().indexOf('#') + 1);
            var key = "state/" + state + "/" + (tensor.isEmpty() ? "_global" : tensor) + "/" + t;
            if (file.find(key).isPresent()) {
                Closeness.checkState(file, key, values(part.dtype(), part.data()));
                checked++;
            }
        }
        assertThat(checked).as("%s: states compared at step %d", file, t).isEqualTo(expected(file, stepper, t));
    }

    /// How many states have to be here: all but those that the reference keeps and its configuration never touches.
    private static long expected(GoldenFile file, Stepper stepper, int t) {
        return file.states(t).stream().filter(key -> isKept(stepper, key.split("/")[1]) || !isZero(file.get(key))).count();
    }

    private static boolean isKept(Stepper stepper, String slot) {
        return stepper.slots().stream().anyMatch(part -> part.key().endsWith("#" + slot));
    }

    private static boolean isZero(float[] values) {
        for (float value : values) {
            if (value != 0) {
                return false;
            }
        }
        return true;
    }

    private static float[] values(DType dtype, MemorySegment data) {
        if (dtype == DType.F32) {
            return data.toArray(ValueLayout.JAVA_FLOAT);
        }
        var doubles = data.toArray(ValueLayout.JAVA_DOUBLE);
        var values = new float[doubles.length];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) doubles[i];
        }
        return values;
    }
}
