package dev.stepd.engine;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Draws;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Program;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.expr.rewrite.ChooseByHost;
import dev.stepd.expr.codec.Codec;
import dev.stepd.expr.codec.Formats;
import dev.stepd.expr.codec.Masters;
import dev.stepd.expr.codec.StoreSlots;
import dev.stepd.expr.rewrite.Rewrite;
import dev.stepd.expr.rewrite.Rewrites;
import dev.stepd.expr.stage.Plan;
import dev.stepd.expr.stage.Planner;
import dev.stepd.rule.Clip;
import dev.stepd.rule.Inputs;
import dev.stepd.rule.OptimizerProgram;
import dev.stepd.rule.Settings;
import dev.stepd.rule.Spec;
import dev.stepd.tensor.DType;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.Predicate;

/// A session's optimizer as programs for the tensors of one kind, before any memory or device.
public final class Recipe {
    /// What elements are computed and stored in.
    private static final Type ELEMENT = Type.F32;
    private static final Spec.SlotSpec MASTER = new Spec.SlotSpec(
            Masters.MASTER.name(), Scope.ELEMENT, ELEMENT, Spec.Sign.SIGNED, new Expr.Read(Inputs.param(ELEMENT)));

    private final Settings settings;
    private final Clip clip;
    private final Kind kind;
    /// The step alone, over parameters and slots in f32.
    private final Program bare;
    private final List<Stored> stored;
    /// What makes programs over f32 of the rule's programs over what there is.
    private final Rewrite storage;

    public Recipe(Settings settings, Clip clip, Kind kind, StateFormat format) {
        this.settings = settings;
        this.clip = clip;
        this.kind = kind;
        this.bare = OptimizerProgram.step(settings, clip, kind.view(), ELEMENT, false);
        this.stored = stored(format);
        var codecs = new HashMap<Buffer, Codec>();
        stored.stream().filter(slot -> !slot.isPlain()).forEach(slot -> codecs.put(slot.slot(), slot.codec()));
        var slots = new StoreSlots(codecs);
        this.storage = masters().<Rewrite>map(masters -> program -> slots.apply(masters.apply(program))).orElse(slots);
    }

    private List<Stored> stored(StateFormat format) {
        var slots = new ArrayList<Stored>();
        for (var slot : settings.slots(kind.view())) {
            if (uses(slot.name())) {
                slots.add(new Stored(slot, kind.coded() ? format.codec(slot) : Formats.find("f32", true).orElseThrow()));
            }
        }
        masters().ifPresent(_ -> slots.add(new Stored(MASTER, Formats.find("f32", true).orElseThrow())));
        return List.copyOf(slots);
    }

    /// What keeps f32 parameters beside those of two bytes.
    Optional<Masters> masters() {
        return switch (kind.dtype()) {
            case BF16 -> Optional.of(Masters.of(Inputs.param(ELEMENT), "bf16"));
            case F16 -> Optional.of(Masters.of(Inputs.param(ELEMENT), "f16"));
            default -> Optional.empty();
        };
    }

    /// The array of parameters as the client has them.
    Buffer parameter() {
        return masters().map(Masters::stored).orElse(Inputs.param(ELEMENT));
    }

    /// One for each kind the rule tells apart, of f32 parameters.
    ///
    /// @param format of slots, whatever the size of their tensors
    public static List<Recipe> each(Settings settings, Clip clip, StateFormat format) {
        return settings.rule().kinds().stream()
                .map(view -> new Recipe(settings, clip, new Kind(view, DType.F32, format.isCoded()), format))
                .toList();
    }

    /// The same with slots in f32.
    public static List<Recipe> each(Settings settings, Clip clip) {
        return each(settings, clip, StateFormat.F32);
    }

    public Settings settings() {
        return settings;
    }

    /// What host values are computed from: the numbers of the settings in their order, then for each extra input of the rule
    /// whether the step brings it, 1 or 0; last the seed of random draws.
    static List<String> hostNames(Settings settings) {
        var names = new ArrayList<>(settings.numberNames());
        settings.rule().spec().inputs().forEach(input -> names.add(Inputs.GIVEN + input.name()));
        names.add(Draws.SEED);
        return names;
    }

    public Kind kind() {
        return kind;
    }

    /// The step as the rule, the session's settings and its formats have it, the host's choices still open.
    public Program step(boolean updatesParameters) {
        return storage.apply(OptimizerProgram.step(settings, clip, kind.view(), ELEMENT, updatesParameters));
    }

    /// What the host has to decide before a step, as bits of [#plan]'s outcomes.
    public List<Expr> conditions() {
        return ChooseByHost.conditions(step(false));
    }

    /// The passes for one outcome of the conditions, or for tensors that differ in them ([Variants#UNDECIDED]).
    public Plan plan(boolean updatesParameters, long outcomes) {
        return Planner.plan(expanded(updatesParameters, outcomes));
    }

    private Program expanded(boolean updatesParameters, long outcomes) {
        var step = step(updatesParameters);
        return Rewrites.expand(outcomes == Variants.UNDECIDED
                ? ChooseByHost.undecided(step) : ChooseByHost.decided(step, outcomes));
    }

    /// [#plan] with what measures the norms of what it leaves.
    Plan measuredPlan(boolean updatesParameters, long outcomes) {
        return Planner.plan(expanded(updatesParameters, outcomes), by -> left(by, updatesParameters));
    }

    /// The squares of what a step leaves, parameters as the client has them.
    Program left(Scope by, boolean hasParameters) {
        var parameter = masters().map(Masters::value).orElse(new Expr.Read(Inputs.param(ELEMENT)));
        return Rewrites.expand(OptimizerProgram.left(
                by, ELEMENT, hasParameters ? Optional.of(parameter) : Optional.empty()));
    }

    /// The passes that measure the gradient.
    ///
    /// @param told whether anybody asks what clipping did
    static Plan measurePlan(Clip clip, boolean told) {
        return Planner.plan(Rewrites.expand(OptimizerProgram.measure(clip, ELEMENT, told)));
    }

    /// Whether parameter values have to be there before the first step.
    public boolean readsParameters() {
        return bare.reads().contains(Inputs.param(ELEMENT))
                || stored.stream().anyMatch(slot -> slot.spec().startsAtParameter());
    }

    /// Whether a step depends on all of the session's tensors together, beyond the norms of their gradients.
    boolean joinsTensors() {
        return bare.nodes().stream()
                .anyMatch(node -> node instanceof Expr.RunningSum
                        || node instanceof Expr.Reduce reduce && reduce.over().coarserThan(Scope.TENSOR));
    }

    /// Whether a step depends on how many were taken.
    boolean countsSteps() {
        return bare.nodes().stream().anyMatch(Expr.Counter.class::isInstance);
    }

    /// What makes a slot of f32 values that lie where gradients do.
    static Plan encode(Stored slot) {
        var codes = slot.codec().encodeNearest(slot.slot(), new Expr.Read(Inputs.grad(ELEMENT)));
        var assignments = new ArrayList<Program.Assignment>();
        for (int i = 0; i < codes.size(); i++) {
            assignments.add(new Program.Assignment(slot.arrays().get(i), codes.get(i)));
        }
        return Planner.plan(Rewrites.expand(new Program(assignments)));
    }

    /// What writes the f32 values of a slot where deltas go.
    static Plan decode(Stored slot) {
        var values = slot.codec().decode(slot.slot());
        return Planner.plan(Rewrites.expand(new Program(List.of(
                new Program.Assignment(Inputs.delta(ELEMENT), values)))));
    }

    /// What makes slots of parameters, for those that start at them.
    Optional<Plan> start() {
        var values = masters().map(Masters::value).orElse(new Expr.Read(Inputs.param(ELEMENT)));
        return start(Spec.SlotSpec::startsAtParameter, _ -> values);
    }

    /// What draws the values of slots that start at random.
    Optional<Plan> draw() {
        return start(Spec.SlotSpec::random, Spec.SlotSpec::drawn);
    }

    private Optional<Plan> start(Predicate<Spec.SlotSpec> which, Function<Spec.SlotSpec, Expr> values) {
        var assignments = new ArrayList<Program.Assignment>();
        for (var slot : stored) {
            if (which.test(slot.spec())) {
                var codes = slot.codec().encodeNearest(slot.slot(), values.apply(slot.spec()));
                for (int i = 0; i < codes.size(); i++) {
                    assignments.add(new Program.Assignment(slot.arrays().get(i), codes.get(i)));
                }
            }
        }
        return assignments.isEmpty()
                ? Optional.empty()
                : Optional.of(Planner.plan(Rewrites.expand(new Program(assignments))));
    }

    /// The averages of the parameters that this configuration keeps, by name.
    Map<String, Plan> averages() {
        var plans = new LinkedHashMap<String, Plan>();
        OptimizerProgram.averages(settings, kind.view(), ELEMENT).forEach((name, program) ->
                plans.put(name, Planner.plan(Rewrites.expand(ChooseByHost.undecided(storage.apply(program))))));
        return plans;
    }

    /// The slots this configuration keeps, in the order its parts name them.
    public List<Spec.SlotSpec> slots() {
        return stored.stream().map(Stored::spec).toList();
    }

    /// The same with their formats.
    List<Stored> stored() {
        return stored;
    }

    private boolean uses(String slot) {
        return bare.reads().stream().anyMatch(b -> b.kind() == Buffer.Kind.SLOT && b.name().equals(slot))
                || bare.assignments().stream()
                        .anyMatch(a -> a.target().kind() == Buffer.Kind.SLOT && a.target().name().equals(slot));
    }

    /// The program's text: equal texts mean state moves between sessions bit for bit.
    String text() {
        return step(false).toString();
    }
}
