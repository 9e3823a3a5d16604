package dev.stepd.engine;

import dev.stepd.device.Device;
import dev.stepd.device.Domain;
import dev.stepd.device.Spans;
import dev.stepd.rule.Clip;
import dev.stepd.rule.OptimizerProgram;
import dev.stepd.rule.Spec;
import dev.stepd.tensor.Part;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// The optimizer of one session bound to a device: its parameters, slots, counters, and the step over them.
///
/// Not thread-safe: the session is the single writer. Owns its region, which [#close] gives back zeroed.
/// After the first step at a given program nothing is compiled or allocated.
public final class Stepper implements AutoCloseable {
    /// What came of a step.
    public enum Outcome {
        /// Parameters, slots and counters moved; the gradients' memory now holds the deltas.
        APPLIED,
        /// The gradient was not finite and the session skips such steps: the step counts, nothing else moved, deltas are zero.
        SKIPPED,
        /// The gradient was not finite and the session rejects such steps: nothing changed, the gradients stand as they were.
        REJECTED
    }

    private final Device device;
    private final Layout layout;
    private final Domain domain;
    private final StateArrays arrays;
    private final MemorySegment gradNorm;
    private final Variant measure;
    private final long[] tensorSteps;
    private final BitSet lastPresent = new BitSet();
    private Recipe recipe;
    private Engine.NonFinite nonFinite;
    private Variants variants;
    private boolean hasParameters;
    private long step;
    private Spans spans = new Spans(List.of());
    /// The largest count of the step under way.
    private long latest;
    private double[] hyper;
    private double lastLr;
    private double lastGradNorm;
    private int nonFiniteTensor;

    Stepper(Device device, Recipe recipe, Layout layout, Engine.NonFinite nonFinite) {
        this.device = device;
        this.recipe = recipe;
        this.layout = layout;
        this.nonFinite = nonFinite;
        this.domain = domain(layout, recipe.settings().groupCount());
        this.tensorSteps = new long[layout.places().size()];
        this.hyper = new double[recipe.settings().numberNames().size()];
        this.arrays = new StateArrays(layout, domain, recipe.slots(), device.memory());
        this.gradNorm = arrays.of(Clip.GRAD_NORM);
        try {
            arrays.initialize(this::hyperparameters);
            this.measure = new Variant(Recipe.measurePlan(), List.of(), device, domain, arrays.segments());
        } catch (RuntimeException e) {
            arrays.close();
            throw e;
        }
        this.variants = variants(recipe);
    }

    private static Domain domain(Layout layout, int groups) {
        var tensors = new ArrayList<Domain.Tensor>();
        var origins = layout.origins();
        for (var place : layout.places()) {
            var shape = place.tensor().shape();
            tensors.add(new Domain.Tensor(shape.elementCount(), shape.rows(), place.group(), origins[place.index()]));
        }
        return new Domain(tensors, groups);
    }

    private Map<String, Double> hyperparameters(int group) {
        var names = recipe.settings().numberNames();
        recipe.settings().values(group, 1, hyper);
        var values = new HashMap<String, Double>();
        for (int i = 0; i < hyper.length; i++) {
            values.put(names.get(i), hyper[i]);
        }
        return values;
    }

    private Variants variants(Recipe of) {
        return new Variants(of, hasParameters, device, domain, arrays.segments());
    }

    void reconfigure(Recipe changed, Engine.NonFinite policy) {
        variants.close();
        recipe = changed;
        nonFinite = policy;
        variants = variants(changed);
    }

    List<Spec.SlotSpec> slotSpecs() {
        return recipe.slots();
    }

    /// Where each tensor lies in the flat arrays, and in which order.
    public Layout layout() {
        return layout;
    }

    /// Finished steps of the session, skipped ones included.
    public long step() {
        return step;
    }

    /// Finished steps of each tensor, by the index the session declared it under. A tensor left out of a partial step stays behind.
    public List<Long> tensorSteps() {
        var steps = new Long[tensorSteps.length];
        for (int position = 0; position < steps.length; position++) {
            steps[layout.places().get(position).index()] = tensorSteps[position];
        }
        return List.of(steps);
    }

    /// Continues at `step`, as a restore or an import does.
    ///
    /// @param steps as [#tensorSteps] gave them
    public void resumeAt(long step, List<Long> steps) {
        this.step = step;
        for (int position = 0; position < tensorSteps.length; position++) {
            tensorSteps[position] = steps.get(layout.places().get(position).index());
        }
        lastPresent.clear();
        spans = new Spans(List.of());
    }

    /// Whether the rule reads parameter values, so that they must be uploaded before the first step.
    public boolean needsParameters() {
        return recipe.readsParameters();
    }

    /// Whether the parameters hold uploaded values. Without them a step still yields deltas where the rule allows.
    public boolean hasParameters() {
        return hasParameters;
    }

    /// Declares that [#parameters] has been filled. Before the first step, slots that start at the parameter do so now.
    public void parametersLoaded() {
        if (step == 0) {
            arrays.initializeFromParameters();
        }
        if (!hasParameters) {
            hasParameters = true;
            variants.close();
            variants = variants(recipe);
        }
    }

    /// The parameter of each tensor in layout order; end to end they are one flat array.
    public List<Part> parameters() {
        return arrays.parameters();
    }

    /// Every slot of every tensor, in layout order and then the rule's slot order. Writable: an import fills them.
    public List<Part> slots() {
        return arrays.slots();
    }

    /// Bytes of device memory held for state.
    public long stateBytes() {
        return arrays.byteCount();
    }

    /// Takes one step.
    ///
    /// @param gradients f32, `layout().elementCount()` elements in layout order with 64 bytes of slack; holds the deltas afterwards
    /// @param present the tensors that have a gradient, by declared index; the others stay untouched and their deltas are zero
    public Outcome step(MemorySegment gradients, BitSet present) {
        if (recipe.readsParameters() && !hasParameters) {
            throw new IllegalStateException("a step before the parameters were loaded");
        }
        if (!present.equals(lastPresent)) {
            spans = cut(present);
            lastPresent.clear();
            lastPresent.or(present);
        }
        measure.run(spans, gradients);
        lastGradNorm = gradNorm.get(ValueLayout.JAVA_DOUBLE, 0);
        if (!Double.isFinite(lastGradNorm) && nonFinite != Engine.NonFinite.PROPAGATE) {
            return refuse(gradients);
        }
        latest = latestStep();
        var variant = variants.find(outcome());
        for (int i = 0; i < spans.spans().size(); i++) {
            var span = spans.spans().get(i);
            load(span);
            variant.prepare(span, hyper, tensorSteps[span.from()] + 1, latest);
        }
        variant.run(spans, gradients);
        advance(gradients, present);
        return Outcome.APPLIED;
    }

    private long latestStep() {
        long most = 0;
        for (int i = 0; i < spans.spans().size(); i++) {
            most = Math.max(most, tensorSteps[spans.spans().get(i).from()] + 1);
        }
        return most;
    }

    /// What the host decides, if the tensors of this step agree.
    private long outcome() {
        long agreed = 0;
        for (int i = 0; i < spans.spans().size(); i++) {
            var span = spans.spans().get(i);
            load(span);
            long outcome = variants.decide(hyper, tensorSteps[span.from()] + 1, latest);
            if (i > 0 && outcome != agreed) {
                return Variants.UNDECIDED;
            }
            agreed = outcome;
        }
        return agreed;
    }

    /// Fetches the hyperparameters of a span at the coming step.
    private void load(Spans.Span span) {
        recipe.settings().values(layout.places().get(span.from()).group(), step + 1, hyper);
    }

    /// Neighbours in the same group that have counted the same steps.
    private Spans cut(BitSet present) {
        var cut = new ArrayList<Spans.Span>();
        int from = -1;
        for (int position = 0; position <= tensorSteps.length; position++) {
            boolean here = position < tensorSteps.length && present.get(layout.places().get(position).index());
            if (from >= 0 && (!here || !alike(from, position))) {
                cut.add(new Spans.Span(from, position));
                from = -1;
            }
            if (here && from < 0) {
                from = position;
            }
        }
        return new Spans(cut);
    }

    private boolean alike(int a, int b) {
        return layout.places().get(a).group() == layout.places().get(b).group() && tensorSteps[a] == tensorSteps[b];
    }

    private Outcome refuse(MemorySegment gradients) {
        nonFiniteTensor = firstNonFinite();
        if (nonFinite == Engine.NonFinite.REJECT) {
            return Outcome.REJECTED;
        }
        gradients.asSlice(0, layout.elementCount() * Float.BYTES).fill((byte) 0);
        count();
        return Outcome.SKIPPED;
    }

    private int firstNonFinite() {
        var squares = arrays.of(OptimizerProgram.GRAD_SQUARES);
        for (int position = 0; position < tensorSteps.length; position++) {
            int index = layout.places().get(position).index();
            double square = squares.getAtIndex(ValueLayout.JAVA_DOUBLE, position);
            if (lastPresent.get(index) && !Double.isFinite(square)) {
                return index;
            }
        }
        throw new IllegalStateException("the norm is not finite and every tensor is");
    }

    private void advance(MemorySegment gradients, BitSet present) {
        for (int position = 0; position < tensorSteps.length; position++) {
            var place = layout.places().get(position);
            if (present.get(place.index())) {
                tensorSteps[position]++;
            } else {
                gradients.asSlice(place.offset() * Float.BYTES, place.elementCount() * Float.BYTES).fill((byte) 0);
            }
        }
        count();
    }

    private void count() {
        step++;
        recipe.settings().values(layout.places().getFirst().group(), step, hyper);
        lastLr = hyper[recipe.settings().numberNames().indexOf("lr")];
    }

    /// The learning rate of the last step, of the first group that has tensors.
    public double lastLr() {
        return lastLr;
    }

    /// The L2 norm of the last gradient over all present tensors, before clipping.
    public double lastGradNorm() {
        return lastGradNorm;
    }

    /// After [Outcome#REJECTED]: the declared index of the first tensor whose gradient is not finite.
    public int nonFiniteTensor() {
        return nonFiniteTensor;
    }

    @Override
    public void close() {
        variants.close();
        measure.close();
        arrays.close();
    }
}
