package dev.stepd.engine;

import dev.stepd.device.Array;
import dev.stepd.device.Body;
import dev.stepd.device.BoundPlan;
import dev.stepd.device.Device;
import dev.stepd.device.Domain;
import dev.stepd.device.HostRegion;
import dev.stepd.device.Spans;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.Type;
import dev.stepd.expr.stage.Plan;
import dev.stepd.rule.Clip;
import dev.stepd.rule.Composition;
import dev.stepd.rule.Inputs;
import dev.stepd.rule.OptimizerProgram;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.Shape;
import dev.stepd.tensor.TensorSpec;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// What benchmarks of any device measure: a session of one tensor that has taken two steps, its step, and its plans apart from it over
/// the same state. Does not own the device.
public final class DeviceSubject implements AutoCloseable {
    private static final int PIECE_BYTES = 16 << 20;

    private final Stepper stepper;
    private final HostRegion host;
    private final Body body;
    private final Domain domain;
    private final Plan plan;
    private final Variants variants;
    private final Variant update;
    private final Variant measure;
    private final HostRegion measured;
    private final Spans spans = new Spans(List.of(new Spans.Span(0, 1)));
    private final BitSet present = new BitSet();
    private final BitSet given = new BitSet();

    /// @param description `name`, settings, and `state`
    public DeviceSubject(Device device, Map<String, Object> description, Shape shape, Engine.NonFinite policy) {
        var blueprint = new Engine.Blueprint(List.of(new TensorSpec("w", shape, DType.F32)), composition(description), List.of(), null, policy);
        var optimizer = Optimizer.of(blueprint);
        stepper = new Engine(device).create(blueprint);
        domain = Layout.domain(stepper.layout().places(), optimizer.settings().groupCount());
        host = device.host().allocate(stepper.body().byteCount(), "a body");
        body = device.body(stepper.body().byteCount(), "a body");
        body.hold(host.segment());
        present.set(0);
        given.set(0, stepper.body().inputs().size());
        start();

        var recipe = optimizer.recipes().getFirst();
        var hyper = hyper(optimizer);
        variants = new Variants(recipe, true, false, device, domain, arrays(recipe), stepper.body().arrays(0));
        long outcome = variants.decide(hyper, Subject.STEP, Subject.STEP);
        update = variants.find(outcome);
        update.prepare(spans.spans().getFirst(), hyper, Subject.STEP, Subject.STEP);
        plan = recipe.plan(true, outcome);
        measured = device.host().allocate(3 * Double.BYTES, "what gradients measure to");
        measure = measure(device, optimizer);
    }

    private static Composition composition(Map<String, Object> description) {
        var alone = new LinkedHashMap<>(description);
        @SuppressWarnings("unchecked") // as described
        var state = (Map<String, Object>) alone.remove("state");
        return new Composition(alone, List.of(), null, null, state);
    }

    private static double[] hyper(Optimizer optimizer) {
        var hyper = new double[Recipe.hostNames(optimizer.settings()).size()];
        Arrays.fill(hyper, 1); // every input is given
        optimizer.settings().values(0, Subject.STEP, hyper);
        hyper[hyper.length - 1] = optimizer.format().seed();
        return hyper;
    }

    private Variant measure(Device device, Optimizer optimizer) {
        Map<Buffer, Array> arrays = Map.of(
                OptimizerProgram.GRAD_SQUARES, measured.array().slice(0, Double.BYTES),
                Clip.GRAD_NORM, measured.array().slice(Double.BYTES, Double.BYTES),
                Clip.CLIPPED_NORM, measured.array().slice(2 * Double.BYTES, Double.BYTES));
        return new Variant(Recipe.measurePlan(new Clip.None(), false), Recipe.hostNames(optimizer.settings()), device, domain, arrays,
                BodyLayout.measuring(0));
    }

    private Map<Buffer, Array> arrays(Recipe recipe) {
        var arrays = new HashMap<Buffer, Array>();
        arrays.put(Inputs.param(Type.F32), stepper.parameters().getFirst().array());
        for (var slot : recipe.stored()) {
            slot.arrays().forEach(array -> arrays.put(array, kept(array.name())));
        }
        return arrays;
    }

    private Array kept(String slot) {
        return stepper.slots().stream().filter(part -> part.key().endsWith("#" + slot)).findFirst().orElseThrow().array();
    }

    /// State of two steps: nothing is measured on zeros.
    private void start() {
        var parameters = stepper.parameters().getFirst().array();
        try (var arena = Arena.ofConfined()) {
            var piece = arena.allocate(Math.min(PIECE_BYTES, parameters.byteSize()), 64);
            Subject.fill(piece, 1, 0.05f);
            for (long at = 0; at < parameters.byteSize(); at += PIECE_BYTES) {
                parameters.write(at, piece.asSlice(0, Math.min(PIECE_BYTES, parameters.byteSize() - at)));
            }
        }
        stepper.parametersLoaded();
        refill();
        step();
        refill();
        step();
        refill();
    }

    /// Gradients such as models have: small, of both signs.
    public void refill() {
        Subject.fill(gradients(), 2, 0.01f);
        for (var input : stepper.body().inputs()) {
            long count = input.ofTensors() ? stepper.layout().elementCount() : 1;
            Subject.fill(host.segment().asSlice(input.offset(), count * Float.BYTES), 3, 0.01f);
        }
    }

    private MemorySegment gradients() {
        return host.segment().asSlice(0, stepper.layout().elementCount() * Float.BYTES);
    }

    /// A whole step: measures the gradient, computes the host's values, updates.
    public void step() {
        if (stepper.step(host.segment(), present, given) != Stepper.Outcome.APPLIED) {
            throw new IllegalStateException("a step was not applied: " + host.segment().get(ValueLayout.JAVA_FLOAT, 0));
        }
    }

    /// The rule's passes.
    public BoundPlan update() {
        return update.bound();
    }

    /// What [#update] runs.
    public Plan plan() {
        return plan;
    }

    /// What tells a gradient's norm before a step.
    public BoundPlan measure() {
        return measure.bound();
    }

    public Domain domain() {
        return domain;
    }

    public Spans spans() {
        return spans;
    }

    /// Holds [#host].
    public Body body() {
        return body;
    }

    /// Gradients, and what else comes with a step, in the device's main memory.
    public MemorySegment host() {
        return host.segment();
    }

    public long bodyBytes() {
        return stepper.body().byteCount();
    }

    @Override
    public void close() {
        measure.close();
        measured.close();
        variants.close();
        body.close();
        host.close();
        stepper.close();
    }
}
