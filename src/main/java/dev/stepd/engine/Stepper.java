package dev.stepd.engine;

import dev.stepd.device.Body;
import dev.stepd.device.Device;
import dev.stepd.device.HostMemory;
import dev.stepd.device.Spans;
import dev.stepd.tensor.TensorSpec;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// The optimizer of one session bound to a device: its parameters, slots, counters, and the step over them.
///
/// Not thread-safe, but where it says so: the session is the single writer. Owns its region, which [#close] gives back zeroed.
/// After the first step at a given program nothing is compiled or allocated.
public final class Stepper implements AutoCloseable {
    /// What came of a step.
    public enum Outcome {
        /// Parameters, slots and counters moved; the gradients' memory now holds the deltas.
        APPLIED,
        /// The gradient or another input was not finite and the session skips such steps: the step counts, nothing else
        /// moved, deltas are zero.
        SKIPPED,
        /// The gradient or another input was not finite and the session rejects such steps: nothing changed, the gradients
        /// stand as they were.
        REJECTED
    }

    private static final BitSet NOTHING = new BitSet();

    private static final long SLACK_BYTES = 64;
    private static final MemorySegment ZEROS = Arena.global().allocate(1 << 16);

    private final Layout layout;
    private final BodyLayout body;
    private final Measure measure;
    private final Norms norms;
    private final Device device;
    private final Body brought;
    private final Arrivals arrivals;
    private final List<Partition> partitions = new ArrayList<>();
    private final TensorSteps tensorSteps;
    private final BitSet lastPresent = new BitSet();
    private double[] hyper;
    private Optimizer optimizer;
    private Engine.NonFinite nonFinite;
    private boolean needsParameters;
    private boolean hasParameters;
    private long step;
    private Spans spans = new Spans(List.of());
    /// The largest count of the step under way.
    private long latest;
    private double lastLr;
    private double lastGradNorm;
    private double lastUpdateNorm = Double.NaN;
    private double lastParamNorm = Double.NaN;

    Stepper(Device device, Optimizer optimizer, Engine.NonFinite nonFinite) {
        this.device = device;
        this.optimizer = optimizer;
        this.needsParameters = optimizer.needsParameters();
        this.layout = optimizer.layout();
        this.body = BodyLayout.of(layout, optimizer.settings().rule().spec().inputs());
        this.nonFinite = nonFinite;
        this.tensorSteps = new TensorSteps(layout);
        this.hyper = new double[Recipe.hostNames(optimizer.settings()).size()];
        this.measure = new Measure(device, optimizer, body);
        Norms kept = null;
        Body holder = null;
        try {
            holder = device.body(body.byteCount(), "what comes with a step of " + layout.elementCount() + " elements");
            kept = new Norms(device, tensorSteps.tensors());
            for (var recipe : optimizer.recipes()) {
                partitions.add(partition(recipe, kept));
            }
        } catch (RuntimeException e) {
            if (holder != null) {
                holder.close();
            }
            partitions.forEach(Partition::close);
            if (kept != null) {
                kept.close();
            }
            measure.close();
            throw e;
        }
        this.brought = holder;
        this.norms = kept;
        this.arrivals = new Arrivals(holder);
    }

    /// What host values are computed from.
    private static List<String> names(Optimizer of) {
        return Recipe.hostNames(of.settings());
    }

    private Partition partition(Recipe recipe, Norms into) {
        int from = partitions.stream().mapToInt(Partition::size).sum();
        var shared = new HashMap<>(measure.norms());
        shared.putAll(into.of(from, layout.places(recipe.kind()).size()));
        return new Partition(recipe, body, from, device, shared, optimizer.measuresNorms(), this::hyperparameters);
    }

    private Map<String, Double> hyperparameters(int group) {
        var names = names(optimizer);
        optimizer.settings().values(group, 1, hyper);
        hyper[hyper.length - 1] = optimizer.format().seed();
        var values = new HashMap<String, Double>();
        for (int i = 0; i < hyper.length; i++) {
            values.put(names.get(i), hyper[i]);
        }
        return values;
    }

    /// Changes nothing when it throws: what may is made first.
    void reconfigure(Optimizer changed, Engine.NonFinite policy) {
        measure.reconfigure(changed);
        optimizer = changed;
        needsParameters = changed.needsParameters();
        nonFinite = policy;
        hyper = new double[names(changed).size()];
        rebuild();
    }

    private void rebuild() {
        for (int i = 0; i < partitions.size(); i++) {
            partitions.get(i).rebuild(optimizer.recipes().get(i), hasParameters, optimizer.measuresNorms());
        }
    }

    Optimizer optimizer() {
        return optimizer;
    }

    /// Where each tensor lies in the flat arrays, and in which order.
    public Layout layout() {
        return layout;
    }

    /// How what comes with a step lies in memory, and what may come.
    public BodyLayout body() {
        return body;
    }

    /// Finished steps of the session, skipped ones included.
    public long step() {
        return step;
    }

    /// Finished steps of each tensor, by the index the session declared it under. A tensor left out of a partial step stays behind.
    public List<Long> tensorSteps() {
        return tensorSteps.declared();
    }

    /// Continues at `step`, as a restore or an import does.
    ///
    /// @param steps as [#tensorSteps] gave them
    public void resumeAt(long step, List<Long> steps) {
        this.step = step;
        tensorSteps.resume(steps);
        lastPresent.clear();
        cut(lastPresent);
    }

    /// Whether the rule reads parameter values, so that they must be uploaded before the first step.
    public boolean needsParameters() {
        return needsParameters;
    }

    /// Whether the parameters hold uploaded values. Without them a step still yields deltas where the rule allows.
    public boolean hasParameters() {
        return hasParameters;
    }

    /// Declares that [#parameters] has been filled. Before the first step, slots that start at the parameter do so now.
    public void parametersLoaded() {
        if (step == 0) {
            partitions.forEach(partition -> partition.startAtParameters(all(partition)));
        }
        if (!hasParameters) {
            hasParameters = true;
            rebuild();
        }
    }

    /// The parameter of each tensor in layout order; end to end they are one flat array.
    public List<StatePart> parameters() {
        return partitions.stream().flatMap(partition -> partition.arrays().parameters().stream()).toList();
    }

    /// Copies the parameters end to end into `flat`, in layout order.
    public void readParameters(MemorySegment flat) {
        long at = 0;
        for (var partition : partitions) {
            at += partition.arrays().readParameters(flat, at);
        }
    }

    /// The names of the averages of the parameters that [#average] yields.
    public Set<String> averages() {
        return optimizer.recipes().getFirst().averages().keySet();
    }

    /// Writes an average of the parameters as the last step left it.
    ///
    /// @param into laid out as [#body] says, with the average where deltas go
    public void average(String name, MemorySegment into) {
        try (var target = device.body(body.byteCount(), "an average of the parameters")) {
            target.hold(into);
            for (var partition : partitions) {
                average(partition, name, target);
            }
        }
    }

    private void average(Partition partition, String name, Body target) {
        var all = all(partition);
        try (var variant = partition.average(name)) {
            for (var span : all.spans()) {
                int first = partition.position(span.from());
                optimizer.settings().values(layout.places().get(first).group(), Math.max(1, step), hyper);
                variant.prepare(span, hyper, tensorSteps.of(first), step);
            }
            variant.run(all, target);
        }
    }

    private Spans all(Partition partition) {
        int from = partition.position(0);
        return tensorSteps.all(from, from + partition.size());
    }

    /// Every slot of every tensor, in layout order and then the rule's slot order; last what the session has once.
    /// Writable: an import fills them.
    public List<StatePart> slots() {
        return Stream.concat(
                        partitions.stream().flatMap(partition -> partition.arrays().slots().stream()),
                        partitions.stream().flatMap(partition -> partition.arrays().sharedSlots().stream()))
                .toList();
    }

    /// Bytes that [#plainSlots] needs.
    public long plainBytes() {
        return partitions.stream().mapToLong(Partition::plainBytes).sum() + SLACK_BYTES;
    }

    /// The slots as rules know them, in f32 whatever they are kept in; otherwise as [#slots].
    ///
    /// @param into [#plainBytes] for the values of those in other formats
    public List<StatePart> plainSlots(MemorySegment into) {
        var parts = new ArrayList<StatePart>();
        long at = 0;
        try (var target = device.body(plainBytes(), "the slots in f32")) {
            target.hold(into);
            for (var partition : partitions) {
                parts.addAll(partition.plainSlots(all(partition), into, target, at));
                at += partition.plainBytes();
            }
        }
        partitions.forEach(partition -> parts.addAll(partition.arrays().sharedSlots()));
        return parts;
    }

    /// What gives slots values as rules know them; the caller closes it.
    public Encoding encoding() {
        return new Encoding(device, partitions);
    }

    /// The slots as [#plainSlots] has them, without their values.
    public List<TensorSpec> plainSpecs() {
        var shared = partitions.stream().flatMap(partition -> partition.arrays().sharedSlots().stream())
                .map(part -> new TensorSpec(part.key(), part.shape(), part.dtype()));
        return Stream.concat(partitions.stream().flatMap(partition -> partition.arrays().plainSlots().stream()), shared).toList();
    }

    /// What the slots are kept in that are not in f32, by name: the format, its code book and block size.
    public Map<String, String> formats() {
        var formats = new TreeMap<String, String>();
        for (var recipe : optimizer.recipes()) {
            recipe.stored().stream().filter(slot -> !slot.isPlain())
                    .forEach(slot -> formats.put(slot.spec().name(), slot.codec().description()));
        }
        return formats;
    }

    /// The name of the device the session is on.
    public String deviceName() {
        return device.name();
    }

    /// Why the device is lost, and all state here with it; null while it is not. From any thread.
    public @Nullable String reasonLost() {
        var reason = device.reasonLost();
        return reason == null ? null : device.name() + " is lost until stepd restarts: " + reason;
    }

    /// Main memory that the device reaches well: what [#step] is given best comes from it.
    public HostMemory hostMemory() {
        return device.host();
    }

    /// Bytes of device memory held for state.
    public long stateBytes() {
        return partitions.stream().mapToLong(partition -> partition.arrays().byteCount()).sum();
    }

    /// Takes one step that brings nothing but gradients.
    public Outcome step(MemorySegment arrived, BitSet present) {
        return step(arrived, present, NOTHING);
    }

    /// Takes one step.
    ///
    /// @param arrived f32, laid out as [#body] says, best of [#hostMemory]; holds the deltas afterwards where the gradients were
    /// @param present the tensors that have a gradient, by declared index; the others stay untouched and their deltas are zero
    /// @param given the extra inputs that came, for all present tensors, by their position in [#body]
    public Outcome step(MemorySegment arrived, BitSet present, BitSet given) {
        if (needsParameters && !hasParameters) {
            throw new IllegalStateException("a step before the parameters were loaded");
        }
        note(given);
        if (!present.equals(lastPresent)) {
            cut(present);
            lastPresent.clear();
            lastPresent.or(present);
        }
        latest = tensorSteps.latest(spans);
        for (int i = 0; i < partitions.size(); i++) {
            prepare(partitions.get(i));
        }
        arrivals.begin(arrived);
        try {
            return take(arrived, present, given);
        } finally {
            arrivals.end();
        }
    }

    private Outcome take(MemorySegment arrived, BitSet present, BitSet given) {
        if (!passes(arrived, present, given)) {
            return refuse(arrived);
        }
        for (int i = 0; i < partitions.size(); i++) {
            partitions.get(i).run(brought);
        }
        boolean measured = optimizer.measuresNorms();
        lastUpdateNorm = measured ? norms.update(spans) : Double.NaN;
        lastParamNorm = measured && hasParameters ? norms.param(spans) : Double.NaN;
        advance(arrived, present);
        return Outcome.APPLIED;
    }

    /// Tells that what lies before `end` of a coming step's body has arrived and will not change, so that the device may fetch it
    /// meanwhile. From any thread. Whoever says so either has the body stepped or calls [#abandon].
    public void arrived(MemorySegment body, long end) {
        arrivals.arrived(body, end);
    }

    /// Tells that a body's memory goes to something else. From any thread.
    public void abandon(MemorySegment body) {
        arrivals.abandon(body);
    }

    /// Tells host values which inputs came.
    private void note(BitSet given) {
        int first = optimizer.settings().numberNames().size();
        hyper[hyper.length - 1] = optimizer.format().seed();
        for (int i = 0; i < body.inputs().size(); i++) {
            hyper[first + i] = given.get(i) ? 1 : 0;
            if (body.inputs().get(i).spec().required() && !given.get(i)) {
                throw new IllegalStateException("a step without " + body.inputs().get(i).spec().name());
            }
        }
    }

    /// Whether the session's policy lets pass what came.
    private boolean passes(MemorySegment arrived, BitSet present, BitSet given) {
        boolean checked = nonFinite != Engine.NonFinite.PROPAGATE;
        boolean finite = measure.isFinite(spans, brought, arrived, present, given, checked);
        lastGradNorm = measure.gradNorm();
        return finite || !checked;
    }

    /// Finds the partition's program and has everything there that it needs: what can be refused for want of memory is refused
    /// before any partition has moved.
    private void prepare(Partition partition) {
        var its = partition.spans().spans();
        if (its.isEmpty()) {
            return;
        }
        var variant = partition.variants().find(outcome(partition));
        for (int i = 0; i < its.size(); i++) {
            int first = partition.position(its.get(i).from());
            load(first);
            variant.prepare(its.get(i), hyper, tensorSteps.of(first) + 1, latest);
        }
        variant.prepare(partition.spans());
        partition.coming(variant);
    }

    /// What the host decides, if the tensors of this step agree.
    private long outcome(Partition partition) {
        var its = partition.spans().spans();
        long agreed = 0;
        for (int i = 0; i < its.size(); i++) {
            int first = partition.position(its.get(i).from());
            load(first);
            long outcome = partition.variants().decide(hyper, tensorSteps.of(first) + 1, latest);
            if (i > 0 && outcome != agreed) {
                return Variants.UNDECIDED;
            }
            agreed = outcome;
        }
        return agreed;
    }

    /// Fetches the hyperparameters of a tensor at the coming step.
    private void load(int position) {
        optimizer.settings().values(layout.places().get(position).group(), step + 1, hyper);
    }

    private void cut(BitSet present) {
        spans = tensorSteps.cut(present, 0, tensorSteps.tensors());
        for (var partition : partitions) {
            int from = partition.position(0);
            partition.spans(tensorSteps.cut(present, from, from + partition.size()));
        }
    }

    private Outcome refuse(MemorySegment gradients) {
        if (nonFinite == Engine.NonFinite.REJECT) {
            return Outcome.REJECTED;
        }
        clear(gradients, 0, layout.elementCount());
        lastUpdateNorm = optimizer.measuresNorms() ? 0 : Double.NaN;
        lastParamNorm = Double.NaN;
        count();
        return Outcome.SKIPPED;
    }

    private void advance(MemorySegment gradients, BitSet present) {
        for (int position = 0; position < tensorSteps.tensors(); position++) {
            var place = layout.places().get(position);
            if (present.get(place.index())) {
                tensorSteps.advance(position);
            } else {
                clear(gradients, place.offset(), place.elementCount());
            }
        }
        count();
    }

    /// By copying zeros: a slice to fill would be an object in every step.
    private static void clear(MemorySegment gradients, long first, long count) {
        long end = (first + count) * Float.BYTES;
        for (long at = first * Float.BYTES; at < end; at += ZEROS.byteSize()) {
            MemorySegment.copy(ZEROS, 0, gradients, at, Math.min(ZEROS.byteSize(), end - at));
        }
    }

    private void count() {
        step++;
        optimizer.settings().values(layout.places().getFirst().group(), step, hyper);
        lastLr = hyper[optimizer.settings().numberNames().indexOf("lr")];
    }

    /// The learning rate of the last step, of the first group that has tensors.
    public double lastLr() {
        return lastLr;
    }

    /// The L2 norm of the last gradient over all present tensors, before clipping.
    public double lastGradNorm() {
        return lastGradNorm;
    }

    /// The L2 norm of the deltas of the last step as they are sent, over all present tensors; 0 of one that was skipped, NaN
    /// where norms are not measured.
    public double lastUpdateNorm() {
        return lastUpdateNorm;
    }

    /// The L2 norm of the parameters after the last step, over all present tensors. NaN where nobody knows: without parameters, of
    /// a step that was skipped, and where norms are not measured.
    public double lastParamNorm() {
        return lastParamNorm;
    }

    /// By how much clipping shortened the last gradient, 1 where it left it as it was; NaN where that is not known.
    public double lastClipFactor() {
        return measure.clipFactor();
    }

    /// How many elements of each tensor's last gradient were NaN or infinite, of the tensors that had any.
    public Map<String, Long> lastNonFinite() {
        return measure.nonFinite();
    }

    /// After [Outcome#REJECTED]: the first array that is not finite, a tensor's gradient (`w`) or an input (`w#hess_grad`, `#loss`).
    public String nonFiniteKey() {
        return measure.nonFiniteKey();
    }

    @Override
    public void close() {
        partitions.forEach(Partition::close);
        norms.close();
        measure.close();
        arrivals.close();
    }
}
