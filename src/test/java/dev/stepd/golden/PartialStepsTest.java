package dev.stepd.golden;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.engine.Engine;
import dev.stepd.engine.GivenInputs;
import dev.stepd.engine.RandomStarts;
import dev.stepd.engine.Stepper;
import dev.stepd.engine.Values;
import dev.stepd.rule.Catalogue;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.Shape;
import dev.stepd.tensor.TensorSpec;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// A tensor that misses steps goes on from where it was, whatever the others did meanwhile.
class PartialStepsTest {
    private static final int ELEMENTS = 5;

    static Stream<String> optimizers() {
        return Catalogue.rules().stream().map(rule -> rule.spec().name());
    }

    /// Optimizers that know tensors from one another: nothing of theirs is the session's.
    static Stream<String> tensorwise() {
        return Catalogue.rules().stream()
                .filter(rule -> rule.spec().shared().isEmpty())
                .map(rule -> rule.spec().name());
    }

    @ParameterizedTest
    @MethodSource("tensorwise")
    void aTensorMovesAsItDoesAlone(String optimizer) {
        var alone = trajectory(optimizer, List.of("b"), List.of("b", "b", "b"));
        var among = trajectory(optimizer, List.of("a", "b"), List.of("a", "ab", "b", "a", "ab"));
        assertThat(among.get("b")).isEqualTo(alone.get("b"));
    }

    @ParameterizedTest
    @MethodSource("optimizers")
    void aTensorThatIsAbsentStands(String optimizer) {
        var once = trajectory(optimizer, List.of("a", "b"), List.of("a", "ab", "ab"));
        var more = trajectory(optimizer, List.of("a", "b"), List.of("a", "ab", "ab", "a", "a"));
        assertThat(more.get("b")).isEqualTo(once.get("b"));
        assertThat(more.get("a")).doesNotContain(Float.NaN);
    }

    /// @param steps the names of those present at each
    private static Map<String, float[]> trajectory(String optimizer, List<String> names, List<String> steps) {
        var tensors = names.stream().map(name -> new TensorSpec(name, Shape.of(ELEMENTS), DType.F32)).toList();
        var blueprint = new Engine.Blueprint(
                tensors, Map.of("name", optimizer), List.of(), null, null, Engine.NonFinite.REJECT);
        try (var engine = new Engine(new CpuDevice(1 << 24, 1)); var stepper = engine.create(blueprint);
                var body = engine.hostMemory().allocate(stepper.body().byteCount(), "a body")) {
            for (var part : stepper.parameters()) {
                Values.put(values(part.key(), 0), part.array());
            }
            stepper.parametersLoaded();
            for (var part : RandomStarts.of(stepper, blueprint)) {
                Values.put(values(part.key(), 0), part.array());
            }
            var taken = new HashMap<String, Integer>();
            for (var step : steps) {
                var present = new BitSet();
                for (var place : stepper.layout().places()) {
                    var name = place.tensor().name();
                    present.set(place.index(), step.contains(name));
                    int t = step.contains(name) ? taken.merge(name, 1, Integer::sum) : 0;
                    var gradient = MemorySegment.ofArray(values(name, t));
                    body.segment().asSlice(place.offset() * Float.BYTES).copyFrom(gradient);
                }
                assertThat(stepper.step(body.segment(), present, GivenInputs.fill(stepper, body.segment()))).isEqualTo(Stepper.Outcome.APPLIED);
            }
            var reached = new HashMap<String, float[]>();
            stepper.parameters().forEach(part -> reached.put(part.key(), Values.floats(part.array())));
            return reached;
        }
    }

    /// A tensor's parameters, and its gradients by its own count.
    private static float[] values(String tensor, int t) {
        var random = new Random(31L * tensor.hashCode() + t);
        var values = new float[ELEMENTS];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }
}
