package dev.stepd.engine;

import dev.stepd.device.Domain;
import dev.stepd.device.Memory;
import dev.stepd.device.Region;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Scalar;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.rule.Inputs;
import dev.stepd.rule.Spec;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.Part;
import dev.stepd.tensor.Shape;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// What is kept of the tensors of one kind, in one region: parameters and slots.
final class StateArrays implements AutoCloseable {
    /// Arrays start this much apart modulo a page, so that the streams of a pass do not fall on the same cache sets.
    static final long STAGGER_BYTES = 5 * 64;

    private final List<Layout.Place> places;
    private final Domain domain;
    private final List<Spec.SlotSpec> slots;
    private final Region region;
    private final Map<Buffer, MemorySegment> segments = new LinkedHashMap<>();

    StateArrays(List<Layout.Place> places, Domain domain, List<Spec.SlotSpec> slots, Memory memory) {
        this.places = places;
        this.domain = domain;
        this.slots = slots;
        var buffers = new ArrayList<Buffer>();
        buffers.add(Inputs.param(Type.F32));
        slots.forEach(slot -> buffers.add(Recipe.buffer(slot)));
        var offsets = new long[buffers.size() + 1];
        for (int i = 0; i < buffers.size(); i++) {
            offsets[i + 1] = Math.addExact(offsets[i], roomFor(buffers.get(i)));
        }
        region = memory.allocate(offsets[buffers.size()], "a session of " + domain.count(Scope.ELEMENT) + " elements");
        for (int i = 0; i < buffers.size(); i++) {
            segments.put(buffers.get(i), region.segment().asSlice(offsets[i], bytes(buffers.get(i))));
        }
    }

    private long bytes(Buffer buffer) {
        return domain.bytes(buffer);
    }

    private long roomFor(Buffer buffer) {
        return Math.addExact(Math.ceilDiv(bytes(buffer), 64) * 64, STAGGER_BYTES);
    }

    /// Gives every slot its value before the first step.
    ///
    /// @param hyper the hyperparameters of a group at the first step
    void initialize(java.util.function.IntFunction<Map<String, Double>> hyper) {
        for (var slot : slots) {
            if (slot.startsAtParameter()) {
                continue; // which is not here yet
            }
            if (isShared(slot)) {
                fill(of(Recipe.buffer(slot)), slot.storage(), initial(slot, hyper.apply(0)));
                continue;
            }
            var parts = parts(Recipe.buffer(slot));
            for (int position = 0; position < parts.size(); position++) {
                int group = places.get(position).group();
                fill(parts.get(position), slot.storage(), initial(slot, hyper.apply(group)));
            }
        }
    }

    private static double initial(Spec.SlotSpec slot, Map<String, Double> hyper) {
        return switch (slot.initial()) {
            case Expr.Const(Type type, long bits) -> Scalar.toDouble(type, bits);
            case Expr.Hyper(String name, _) -> hyper.get(name);
            case Expr other -> throw new IllegalStateException(slot.name() + " starts at " + other);
        };
    }

    /// Whether the session has one value of the slot, which belongs to no tensor.
    private static boolean isShared(Spec.SlotSpec slot) {
        return slot.scope().equals(Scope.SESSION);
    }

    void initializeFromParameters() {
        for (var slot : slots) {
            if (slot.startsAtParameter()) {
                of(Recipe.buffer(slot)).copyFrom(of(Inputs.param(Type.F32)));
            }
        }
    }

    private static void fill(MemorySegment values, Type type, double value) {
        if (value == 0) {
            return;
        }
        for (long i = 0; i < values.byteSize() / type.bytes(); i++) {
            if (type == Type.F64) {
                values.setAtIndex(ValueLayout.JAVA_DOUBLE, i, value);
            } else {
                values.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) value);
            }
        }
    }

    Map<Buffer, MemorySegment> segments() {
        return segments;
    }

    MemorySegment of(Buffer buffer) {
        return segments.get(buffer);
    }

    /// The stretch of an array that belongs to each tensor, in layout order.
    private List<MemorySegment> parts(Buffer buffer) {
        var starts = domain.starts(buffer.scope());
        var parts = new ArrayList<MemorySegment>();
        for (int i = 0; i + 1 < starts.length; i++) {
            long bytes = buffer.storage().bytes();
            parts.add(of(buffer).asSlice(starts[i] * bytes, (starts[i + 1] - starts[i]) * bytes));
        }
        return parts;
    }

    List<Part> parameters() {
        var data = parts(Inputs.param(Type.F32));
        var parts = new ArrayList<Part>();
        for (int i = 0; i < data.size(); i++) {
            var tensor = places.get(i).tensor();
            parts.add(new Part(tensor.name(), tensor.dtype(), tensor.shape(), data.get(i)));
        }
        return parts;
    }

    /// By tensor, then in the rule's order.
    List<Part> slots() {
        var ofTensors = slots.stream().filter(slot -> !isShared(slot)).toList();
        var data = ofTensors.stream().map(slot -> parts(Recipe.buffer(slot))).toList();
        var parts = new ArrayList<Part>();
        for (int position = 0; position < places.size(); position++) {
            var tensor = places.get(position).tensor();
            for (int i = 0; i < ofTensors.size(); i++) {
                var slot = ofTensors.get(i);
                var shape = shape(slot.scope(), tensor.shape(), position);
                parts.add(part(tensor.name(), slot, shape, data.get(i).get(position)));
            }
        }
        return parts;
    }

    /// What the session has once, under keys that name no tensor.
    List<Part> sharedSlots() {
        return slots.stream()
                .filter(StateArrays::isShared)
                .map(slot -> part("", slot, Shape.of(1), of(Recipe.buffer(slot))))
                .toList();
    }

    private static Part part(String tensor, Spec.SlotSpec slot, Shape shape, MemorySegment data) {
        var dtype = slot.storage() == Type.F64 ? DType.F64 : DType.F32;
        return new Part(tensor + "#" + slot.name(), dtype, shape, data);
    }

    private Shape shape(Scope scope, Shape tensor, int position) {
        return scope.isElement() ? tensor : Shape.of(domain.tensors().get(position).count(scope));
    }

    long byteCount() {
        return region.segment().byteSize();
    }

    @Override
    public void close() {
        region.close();
    }
}
