package dev.stepd.rule;

import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.engine.Engine;
import dev.stepd.engine.StatePart;
import dev.stepd.engine.Stepper;
import dev.stepd.engine.Values;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.Shape;
import dev.stepd.tensor.TensorSpec;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// A small session for tests that know what an optimizer has to do: tensors by name, steps by name.
final class Small implements AutoCloseable {
    private final Engine engine = new Engine(new CpuDevice(1 << 24, 1));
    private final Stepper stepper;

    Small(Map<String, Object> optimizer, Map<String, Shape> shapes, Map<String, float[]> parameters) {
        var tensors = new ArrayList<TensorSpec>();
        shapes.forEach((name, shape) -> tensors.add(new TensorSpec(name, shape, DType.F32)));
        stepper = engine.create(new Engine.Blueprint(tensors, optimizer, List.of(), null, null, Engine.NonFinite.REJECT));
        stepper.parameters().forEach(part -> Values.put(parameters.get(part.key()), part.array()));
        stepper.parametersLoaded();
    }

    /// Takes a step and returns the deltas.
    Map<String, float[]> step(Map<String, float[]> gradients) {
        var deltas = new LinkedHashMap<String, float[]>();
        try (var body = engine.hostMemory().allocate(stepper.body().byteCount(), "a body")) {
            var present = new BitSet();
            for (var place : stepper.layout().places()) {
                var gradient = gradients.get(place.tensor().name());
                MemorySegment.copy(gradient, 0, body.segment(), ValueLayout.JAVA_FLOAT, place.offset() * Float.BYTES, gradient.length);
                present.set(place.index());
            }
            stepper.step(body.segment(), present);
            for (var place : stepper.layout().places()) {
                var delta = body.segment().asSlice(place.offset() * Float.BYTES, place.elementCount() * Float.BYTES);
                deltas.put(place.tensor().name(), delta.toArray(ValueLayout.JAVA_FLOAT));
            }
        }
        return deltas;
    }

    float[] parameter(String name) {
        return part(stepper.parameters(), name);
    }

    float[] slot(String key) {
        return part(stepper.slots(), key);
    }

    private static float[] part(List<StatePart> parts, String key) {
        return Values.floats(parts.stream().filter(p -> p.key().equals(key)).findFirst().orElseThrow().array());
    }

    @Override
    public void close() {
        stepper.close();
        engine.close();
    }
}
