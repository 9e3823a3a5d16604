package dev.stepd.engine;

import dev.stepd.device.Domain;
import dev.stepd.device.Region;
import dev.stepd.device.Spans;
import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.Type;
import dev.stepd.rule.Inputs;
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

/// What benchmarks measure: a session of one tensor, its step, and its update apart from the step around it, all over
/// the same memory.
public final class Subject implements AutoCloseable {
    /// A step far enough from the first that every rule runs its steady program.
    static final long STEP = 1000;

    private static final long MEMORY_BYTES = 8L << 30;
    private static final int PATTERN = 1 << 20;

    private final CpuDevice device;
    private final Engine engine;
    private final Stepper stepper;
    private final Region body;
    private final Variants variants;
    private final Variant update;
    private final Spans spans = new Spans(List.of(new Spans.Span(0, 1)));
    private final BitSet present = new BitSet();
    private final long elements;
    private final MemorySegment parameters;
    private final List<MemorySegment> slots;
    private final long movedBytes;

    public Subject(String optimizer, long elements, int threads) {
        this.elements = elements;
        device = new CpuDevice(MEMORY_BYTES, threads);
        engine = new Engine(device);
        var blueprint = new Engine.Blueprint(
                List.of(new TensorSpec("w", Shape.of(elements), DType.F32)),
                Map.of("name", optimizer),
                List.of(),
                null,
                null,
                Engine.NonFinite.REJECT);
        stepper = engine.create(blueprint);
        stepper.parametersLoaded();
        parameters = stepper.parameters().getFirst().data();
        slots = stepper.slots().stream().map(part -> part.data()).toList();
        body = engine.memory().allocate(elements * Float.BYTES + 64, "gradients");
        present.set(0);
        fill(parameters, 1, 0.05f);
        refill();

        var recipe = Recipe.of(blueprint);
        variants = new Variants(recipe, true, device, domain(elements), arrays(recipe));
        var hyper = new double[recipe.settings().numberNames().size()];
        recipe.settings().values(0, STEP, hyper);
        long outcome = variants.decide(hyper, STEP, STEP);
        update = variants.find(outcome);
        update.prepare(spans.spans().getFirst(), hyper, STEP, STEP);
        movedBytes = recipe.plan(true, outcome).stages().stream().mapToLong(Subject::movedBytes).sum();
    }

    private static Domain domain(long elements) {
        return new Domain(List.of(new Domain.Tensor(elements, Shape.of(elements).rows(), 0)), 1);
    }

    private Map<Buffer, MemorySegment> arrays(Recipe recipe) {
        var arrays = new HashMap<Buffer, MemorySegment>();
        arrays.put(Inputs.param(Type.F32), parameters);
        for (int i = 0; i < slots.size(); i++) {
            arrays.put(Recipe.buffer(recipe.slots().get(i)), slots.get(i));
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
    }

    static void fill(MemorySegment values, long seed, float scale) {
        var random = new Random(seed);
        var pattern = new float[PATTERN];
        for (int i = 0; i < PATTERN; i++) {
            pattern[i] = (float) random.nextGaussian() * scale;
        }
        long count = values.byteSize() / Float.BYTES;
        for (long done = 0; done < count; done += PATTERN) {
            MemorySegment.copy(pattern, 0, values, ValueLayout.JAVA_FLOAT, done * Float.BYTES,
                    (int) Math.min(PATTERN, count - done));
        }
    }

    long elements() {
        return elements;
    }

    MemorySegment parameters() {
        return parameters;
    }

    MemorySegment slot(int index) {
        return slots.get(index);
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
        update.run(spans, body.segment());
    }

    /// A whole step: measures the gradient, computes the host's values, updates.
    public void step() {
        if (stepper.step(body.segment(), present) != Stepper.Outcome.APPLIED) {
            throw new IllegalStateException("a step was not applied");
        }
    }

    @Override
    public void close() {
        variants.close();
        body.close();
        stepper.close();
        engine.close();
    }
}
