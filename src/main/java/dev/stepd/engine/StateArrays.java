package dev.stepd.engine;

import dev.stepd.device.Array;
import dev.stepd.device.Domain;
import dev.stepd.device.Memory;
import dev.stepd.device.Region;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Scalar;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.expr.codec.Formats;
import dev.stepd.rule.Spec;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.Shape;
import dev.stepd.tensor.TensorSpec;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.IntFunction;

/// What is kept of the tensors of one kind, in one region: parameters and slots.
final class StateArrays implements AutoCloseable {
    /// Arrays start this much apart modulo a page, so that the streams of a pass do not fall on the same cache sets.
    static final long STAGGER_BYTES = 5 * 64;

    /// Of what goes through main memory on its way to a device.
    private static final long BUFFER_BYTES = 1 << 20;

    private final List<Layout.Place> places;
    private final Domain domain;
    private final Buffer parameter;
    private final DType dtype;
    private final List<Stored> slots;
    private final Region region;
    private final Map<Buffer, Array> arrays = new LinkedHashMap<>();

    StateArrays(List<Layout.Place> places, Domain domain, Recipe recipe, Memory memory) {
        this.places = places;
        this.domain = domain;
        this.parameter = recipe.parameter();
        this.dtype = recipe.kind().dtype();
        this.slots = recipe.stored();
        var buffers = new ArrayList<Buffer>();
        buffers.add(parameter);
        slots.forEach(slot -> buffers.addAll(slot.arrays()));
        var offsets = new long[buffers.size() + 1];
        for (int i = 0; i < buffers.size(); i++) {
            offsets[i + 1] = Math.addExact(offsets[i], roomFor(buffers.get(i)));
        }
        region = memory.allocate(offsets[buffers.size()], "a session of " + domain.count(Scope.ELEMENT) + " elements");
        for (int i = 0; i < buffers.size(); i++) {
            arrays.put(buffers.get(i), region.array().slice(offsets[i], bytes(buffers.get(i))));
        }
    }

    private long bytes(Buffer buffer) {
        return domain.bytes(buffer);
    }

    private long roomFor(Buffer buffer) {
        return Math.addExact(Math.ceilDiv(bytes(buffer), 64) * 64, STAGGER_BYTES);
    }

    /// Gives the slots that start alike their value before the first step.
    ///
    /// @param hyper the hyperparameters of a group at the first step
    void initialize(IntFunction<Map<String, Double>> hyper) {
        for (var slot : slots) {
            if (slot.spec().startsAtParameter() || slot.spec().random()) {
                continue; // programs give them theirs
            }
            if (isShared(slot)) {
                fill(slot, 0, of(slot.slot()), initial(slot.spec(), hyper.apply(0)));
                continue;
            }
            for (int array = 0; array < slot.arrays().size(); array++) {
                var parts = parts(slot.arrays().get(array));
                for (int position = 0; position < parts.size(); position++) {
                    int group = places.get(position).group();
                    fill(slot, array, parts.get(position), initial(slot.spec(), hyper.apply(group)));
                }
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
    private static boolean isShared(Stored slot) {
        return slot.spec().scope().equals(Scope.SESSION);
    }

    /// Whether slots that start at the parameter are copies of it as they are kept.
    boolean copiesParameters() {
        return dtype == DType.F32
                && slots.stream().filter(slot -> slot.spec().startsAtParameter()).allMatch(Stored::isPlain);
    }

    void copyParameters() {
        for (var slot : slots) {
            if (slot.spec().startsAtParameter()) {
                copy(of(parameter), of(slot.slot()));
            }
        }
    }

    static void copy(Array from, Array to) {
        through(from.byteSize(), _ -> {}, (at, buffer) -> {
            from.read(at, buffer);
            to.write(at, buffer);
        });
    }

    /// What is done to a stretch of an array that begins at `at`, by way of main memory of as many bytes.
    private interface Passage {
        void pass(long at, MemorySegment buffer);
    }

    private static void through(long bytes, Consumer<MemorySegment> prepare, Passage passage) {
        try (var arena = Arena.ofConfined()) {
            var buffer = arena.allocate(Math.min(BUFFER_BYTES, bytes), Long.BYTES);
            prepare.accept(buffer);
            for (long at = 0; at < bytes; at += buffer.byteSize()) {
                passage.pass(at, buffer.asSlice(0, Math.min(buffer.byteSize(), bytes - at)));
            }
        }
    }

    /// @param array which of the slot's arrays the values are of
    private static void fill(Stored slot, int array, Array values, double value) {
        if (value == 0 && slot.isPlain()) {
            return; // regions are zero
        }
        var storage = slot.arrays().get(array).storage();
        long bits = slot.isPlain()
                ? Scalar.of(storage, value)
                : Formats.initial(slot.codec(), slot.slot(), (float) value).get(array);
        through(values.byteSize(), buffer -> fill(buffer, storage, bits), values::write);
    }

    private static void fill(MemorySegment values, Type storage, long bits) {
        switch (storage) {
            case F64, I64 -> fill(values, 8, bits);
            case F32, I32 -> fill(values, 4, bits);
            case I16 -> fill(values, 2, bits);
            case I8 -> values.fill((byte) bits);
            case I4 -> values.fill((byte) (bits << 4 | bits));
            case BOOL -> throw new IllegalStateException("a slot of booleans");
        }
    }

    private static void fill(MemorySegment values, int bytes, long bits) {
        for (long at = 0; at < values.byteSize(); at += bytes) {
            switch (bytes) {
                case 8 -> values.set(ValueLayout.JAVA_LONG, at, bits);
                case 4 -> values.set(ValueLayout.JAVA_INT, at, (int) bits);
                default -> values.set(ValueLayout.JAVA_SHORT, at, (short) bits);
            }
        }
    }

    Map<Buffer, Array> all() {
        return arrays;
    }

    private Array of(Buffer buffer) {
        return arrays.get(buffer);
    }

    /// The stretch of an array that belongs to each tensor, in layout order.
    private List<Array> parts(Buffer buffer) {
        return parts(buffer, of(buffer));
    }

    List<Array> parts(Buffer buffer, Array values) {
        var starts = domain.byteStarts(buffer);
        var parts = new ArrayList<Array>();
        for (int i = 0; i + 1 < starts.length; i++) {
            parts.add(values.slice(starts[i], starts[i + 1] - starts[i]));
        }
        return parts;
    }

    /// Copies the parameters, which lie end to end, to what begins at a place of `flat`, and tells how many bytes they have.
    long readParameters(MemorySegment flat, long at) {
        var all = of(parameter);
        all.read(0, flat.asSlice(at, all.byteSize()));
        return all.byteSize();
    }

    List<StatePart> parameters() {
        var data = parts(parameter);
        var parts = new ArrayList<StatePart>();
        for (int i = 0; i < data.size(); i++) {
            var tensor = places.get(i).tensor();
            parts.add(new StatePart(tensor.name(), tensor.dtype(), tensor.shape(), data.get(i)));
        }
        return parts;
    }

    /// By tensor, then in the rule's order, as they are kept: codes, then scales.
    List<StatePart> slots() {
        return slots(Map.of());
    }

    /// The same with some of them in f32.
    ///
    /// @param plain where the values of a slot are that is kept in another format
    List<StatePart> slots(Map<Stored, Array> plain) {
        var all = new ArrayList<Map.Entry<Stored, Buffer>>();
        var data = new ArrayList<List<Array>>();
        for (var slot : slots) {
            var kept = isShared(slot) ? List.<Buffer>of() : plain.containsKey(slot) ? List.of(slot.slot()) : slot.arrays();
            for (var array : kept) {
                all.add(Map.entry(slot, array));
                data.add(parts(array, plain.getOrDefault(slot, of(array))));
            }
        }
        var parts = new ArrayList<StatePart>();
        for (int position = 0; position < places.size(); position++) {
            var tensor = places.get(position).tensor();
            for (int i = 0; i < all.size(); i++) {
                var array = all.get(i).getValue();
                var type = dtype(all.get(i).getKey(), array);
                var shape = shape(array, tensor.shape(), position);
                parts.add(new StatePart(tensor.name() + "#" + array.name(), type, shape, data.get(i).get(position)));
            }
        }
        return parts;
    }

    /// The names, shapes and types of the slots as rules know them.
    List<TensorSpec> plainSlots() {
        var specs = new ArrayList<TensorSpec>();
        for (int position = 0; position < places.size(); position++) {
            var tensor = places.get(position).tensor();
            for (var slot : slots) {
                if (!isShared(slot)) {
                    var shape = shape(slot.slot(), tensor.shape(), position);
                    specs.add(new TensorSpec(tensor.name() + "#" + slot.spec().name(), shape, dtype(slot, slot.slot())));
                }
            }
        }
        return specs;
    }

    /// What the session has once, under keys that name no tensor.
    List<StatePart> sharedSlots() {
        return slots.stream()
                .filter(StateArrays::isShared)
                .map(slot -> new StatePart("#" + slot.spec().name(), dtype(slot, slot.slot()), Shape.of(1), of(slot.slot())))
                .toList();
    }

    private static DType dtype(Stored slot, Buffer array) {
        return switch (array.storage()) {
            case F64 -> DType.F64;
            case F32 -> DType.F32;
            case I16 -> slot.codec().name().equals("bf16") ? DType.BF16 : DType.F16;
            case I8, I4 -> DType.U8;
            case I32, I64, BOOL -> throw new IllegalStateException("no slot is kept in " + array.storage());
        };
    }

    /// Two codes of four bits share a byte, so such an array has half as many bytes, without a shape.
    private Shape shape(Buffer array, Shape tensor, int position) {
        if (array.storage() == Type.I4) {
            return Shape.of(array.storage().bytes(tensor.elementCount()));
        }
        return array.scope().isElement() ? tensor : Shape.of(domain.tensors().get(position).count(array.scope()));
    }

    long byteCount() {
        return region.array().byteSize();
    }

    @Override
    public void close() {
        region.close();
    }
}
