package dev.stepd.golden;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.engine.Engine;
import dev.stepd.engine.Stepper;
import dev.stepd.engine.Values;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.Shape;
import dev.stepd.tensor.TensorSpec;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Clipping as torch's `clip_grad_norm_` and `clip_grad_value_` before torch's SGD.
class ClippingTest {
    @ParameterizedTest
    @CsvSource({"global_norm, max_norm", "value, clip_value"})
    void isTorchs(String clip, String bound) {
        var file = GoldenFile.of(List.of("grad_clip")).filter(f -> f.config().equals(clip)).findFirst().orElseThrow();
        var config = file.description();
        var tensors = new ArrayList<TensorSpec>();
        file.tensors().forEach((name, extents) -> tensors.add(new TensorSpec(name, new Shape(extents), DType.F32)));
        var blueprint = new Engine.Blueprint(
                tensors, Map.of("name", "sgd", "lr", config.get("lr")), List.of(), null, Map.of(clip, config.get(bound)),
                Engine.NonFinite.REJECT);
        try (var engine = new Engine(new CpuDevice(1 << 24, 2));
                var stepper = engine.create(blueprint);
                var body = engine.hostMemory().allocate(stepper.layout().elementCount() * Float.BYTES, "a body")) {
            for (var part : stepper.parameters()) {
                Values.put(file.get("param/" + part.key() + "/0"), part.array());
            }
            stepper.parametersLoaded();
            for (int t = 1; t <= file.steps(); t++) {
                step(file, stepper, body.segment(), t);
            }
        }
    }

    private static void step(GoldenFile file, Stepper stepper, MemorySegment body, int t) {
        var present = new BitSet();
        for (var place : stepper.layout().places()) {
            var gradient = MemorySegment.ofArray(file.get("grad/" + place.tensor().name() + "/" + t));
            body.asSlice(place.offset() * Float.BYTES, gradient.byteSize()).copyFrom(gradient);
            present.set(place.index());
        }
        stepper.step(body, present);
        for (var part : stepper.parameters()) {
            Closeness.checkParameter(file, part.key(), t, Values.floats(part.array()));
        }
        file.find("state/total_norm/_global/" + t).ifPresent(norm ->
                assertThat(stepper.lastGradNorm()).isCloseTo(norm[0], within(1e-6 * norm[0])));
    }
}
