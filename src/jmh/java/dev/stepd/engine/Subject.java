package dev.stepd.engine;

import dev.stepd.device.Array;
import dev.stepd.device.Body;
import dev.stepd.device.Domain;
import dev.stepd.device.HostArray;
import dev.stepd.device.HostRegion;
import dev.stepd.device.Spans;
import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.Type;
import dev.stepd.rule.Inputs;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.Shape;
import dev.stepd.tensor.TensorSpec;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/// What benchmarks measure: a session of one tensor, its step, and its update apart from the step around it, all over
/// the same memory.
public final class Subject implements AutoCloseable {
    /// A step far enough from the first that every rule runs its steady program.
    static final long STEP = 1000;

    private static final long MEMORY_BYTES = 8L << 30;
    private static final int PATTERN = 1 << 20;
    private static final Map<Long, float[]> PATTERNS = new HashMap<>();

    private final CpuDevice device;
    private final Engine engine;
    private final Stepper stepper;
    private final HostRegion body;
    private final Body held;
    private final Variants variants;
    private final Variant update;
    private final Spans spans = new Spans(List.of(new Spans.Span(0, 1)));
    private final BitSet present = new BitSet();
    private final BitSet given = new BitSet();
    private final long elements;
    private final MemorySegment parameters;
    private final List<MemorySegment> slots;
    private final List<Type> slotTypes;
    private final MemorySegment slotAddresses;
    private final MemorySegment numbers;
    private final long movedBytes;

    /// @param optimizer its name, and settings as `name=value` behind it
    public Subject(String optimizer, long elements, int threads) {
        this.elements = elements;
        device = new CpuDevice(MEMORY_BYTES, threads);
        engine = new Engine(device);
        var blueprint = new Engine.Blueprint(
                List.of(new TensorSpec("w", Shape.of(elements), DType.F32)),
                settings(optimizer),
                List.of(),
                null,
                null,
                Engine.NonFinite.REJECT);
        stepper = engine.create(blueprint);
        stepper.parametersLoaded();
        parameters = segment(stepper.parameters().getFirst());
        body = engine.hostMemory().allocate(stepper.body().byteCount(), "a body");
        held = device.body(stepper.body().byteCount(), "a body");
        held.hold(body.segment());
        present.set(0);
        given.set(0, stepper.body().inputs().size());
        fill(parameters, 1, 0.05f);
        refill();

        var recipe = Optimizer.of(blueprint).recipes().getFirst();
        var kept = recipe.stored().stream().flatMap(slot -> slot.arrays().stream()).toList();
        slots = kept.stream().map(slot -> data(slot.name())).toList();
        slotTypes = kept.stream().map(Buffer::storage).toList();
        variants = new Variants(recipe, true, false, device, domain(elements), arrays(kept), stepper.body().arrays(0));
        var hyper = new double[Recipe.hostNames(recipe.settings()).size()];
        Arrays.fill(hyper, 1); // every input is given
        recipe.settings().values(0, STEP, hyper);
        slotAddresses = addresses(slots);
        numbers = numbers(Arrays.copyOf(hyper, recipe.settings().numberNames().size() / 2));
        long outcome = variants.decide(hyper, STEP, STEP);
        update = variants.find(outcome);
        update.prepare(spans.spans().getFirst(), hyper, STEP, STEP);
        movedBytes = recipe.plan(true, outcome).stages().stream().mapToLong(Subject::movedBytes).sum();
    }

    private static Map<String, Object> settings(String optimizer) {
        var words = optimizer.split(" ");
        var settings = new HashMap<String, Object>(Map.of("name", words[0]));
        for (int i = 1; i < words.length; i++) {
            var setting = words[i].split("=");
            settings.put(setting[0], Double.valueOf(setting[1]));
        }
        return settings;
    }

    private static MemorySegment addresses(List<MemorySegment> arrays) {
        var addresses = Arena.ofAuto().allocate(ValueLayout.ADDRESS, arrays.size() + 1);
        for (int i = 0; i < arrays.size(); i++) {
            addresses.setAtIndex(ValueLayout.ADDRESS, i, arrays.get(i));
        }
        return addresses;
    }

    /// The numbers as schedules leave them, then the step.
    private static MemorySegment numbers(double[] scheduled) {
        var numbers = Arrays.copyOf(scheduled, scheduled.length + 1);
        numbers[scheduled.length] = STEP;
        return Arena.ofAuto().allocateFrom(ValueLayout.JAVA_DOUBLE, numbers);
    }

    private static Domain domain(long elements) {
        return new Domain(List.of(new Domain.Tensor(elements, 1, Shape.of(elements).rows(), 0, 0)), 1);
    }

    /// A slot of the tensor, or of the session.
    private MemorySegment data(String slot) {
        return stepper.slots().stream()
                .filter(part -> part.key().endsWith("#" + slot))
                .findFirst()
                .map(Subject::segment)
                .orElseThrow();
    }

    private static MemorySegment segment(StatePart part) {
        return ((HostArray) part.array()).segment();
    }

    private Map<Buffer, Array> arrays(List<Buffer> kept) {
        var arrays = new HashMap<Buffer, Array>();
        arrays.put(Inputs.param(Type.F32), new HostArray(parameters));
        for (int i = 0; i < kept.size(); i++) {
            arrays.put(kept.get(i), new HostArray(slots.get(i)));
        }
        return arrays;
    }

    private static long movedBytes(dev.stepd.expr.stage.Stage stage) {
        long read = stage.reads().stream().mapToLong(Subject::elementBytes).sum();
        return read + stage.outputs().stream().mapToLong(output -> elementBytes(output.target())).sum();
    }

    private static long elementBytes(Buffer buffer) {
        return buffer.scope().isElement() ? buffer.storage().bytes() : 0;
    }

    /// Gradients such as models have: small, of both signs.
    public void refill() {
        fill(gradients(), 2, 0.01f);
        for (var input : stepper.body().inputs()) {
            long count = input.ofTensors() ? elements : 1;
            fill(body.segment().asSlice(input.offset(), count * Float.BYTES), 3, 0.01f);
        }
    }

    static void fill(MemorySegment values, long seed, float scale) {
        var pattern = PATTERNS.computeIfAbsent(seed, _ -> pattern(seed, scale));
        long count = values.byteSize() / Float.BYTES;
        for (long done = 0; done < count; done += PATTERN) {
            MemorySegment.copy(pattern, 0, values, ValueLayout.JAVA_FLOAT, done * Float.BYTES,
                    (int) Math.min(PATTERN, count - done));
        }
    }

    private static float[] pattern(long seed, float scale) {
        var random = new Random(seed);
        var pattern = new float[PATTERN];
        for (int i = 0; i < PATTERN; i++) {
            pattern[i] = (float) random.nextGaussian() * scale;
        }
        return pattern;
    }

    /// Parameters, gradients or deltas, and slots.
    List<double[]> values() {
        var values = new ArrayList<double[]>();
        values.add(values(parameters, Type.F32));
        values.add(values(gradients(), Type.F32));
        for (int i = 0; i < slots.size(); i++) {
            values.add(values(slots.get(i), slotTypes.get(i)));
        }
        return values;
    }

    private static double[] values(MemorySegment array, Type type) {
        var values = new double[(int) (array.byteSize() / type.bytes())];
        Arrays.setAll(values, i -> type == Type.F32 ? array.getAtIndex(ValueLayout.JAVA_FLOAT, i)
                : array.getAtIndex(ValueLayout.JAVA_DOUBLE, i));
        return values;
    }

    /// Puts back what [#values] gave.
    void restore(List<double[]> values) {
        restore(parameters, Type.F32, values.get(0));
        restore(gradients(), Type.F32, values.get(1));
        for (int i = 0; i < slots.size(); i++) {
            restore(slots.get(i), slotTypes.get(i), values.get(i + 2));
        }
    }

    private static void restore(MemorySegment array, Type type, double[] values) {
        for (int i = 0; i < values.length; i++) {
            if (type == Type.F32) {
                array.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) values[i]);
            } else {
                array.setAtIndex(ValueLayout.JAVA_DOUBLE, i, values[i]);
            }
        }
    }

    long elements() {
        return elements;
    }

    MemorySegment parameters() {
        return parameters;
    }

    /// The addresses of the slots, for C.
    MemorySegment slotAddresses() {
        return slotAddresses;
    }

    /// The numbers the update goes by, for C.
    MemorySegment numbers() {
        return numbers;
    }

    /// The gradients before an update, the deltas after it.
    MemorySegment gradients() {
        return body.segment().asSlice(0, elements * Float.BYTES);
    }

    /// Bytes that an update reads and writes for each parameter.
    long movedBytes() {
        return movedBytes;
    }

    /// The rule's passes alone.
    void update() {
        update.run(spans, held);
    }

    /// A whole step: measures the gradient, computes the host's values, updates.
    public void step() {
        if (stepper.step(body.segment(), present, given) != Stepper.Outcome.APPLIED) {
            throw new IllegalStateException("a step was not applied");
        }
    }

    @Override
    public void close() {
        variants.close();
        held.close();
        body.close();
        stepper.close();
        engine.close();
    }
}
