package dev.stepd.engine;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Program;
import dev.stepd.expr.Type;
import dev.stepd.expr.rewrite.ChooseByHost;
import dev.stepd.expr.rewrite.Rewrites;
import dev.stepd.expr.stage.Plan;
import dev.stepd.expr.stage.Planner;
import dev.stepd.rule.Clip;
import dev.stepd.rule.Inputs;
import dev.stepd.rule.OptimizerProgram;
import dev.stepd.rule.Settings;
import dev.stepd.rule.Spec;
import dev.stepd.tensor.DType;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/// A session's optimizer as programs for the tensors of one kind, before any memory or device.
public final class Recipe {
    /// What elements are computed and stored in.
    private static final Type ELEMENT = Type.F32;

    private final Settings settings;
    private final Clip clip;
    private final Kind kind;
    private final Program bare;
    private final boolean readsParameters;

    public Recipe(Settings settings, Clip clip, Kind kind) {
        this.settings = settings;
        this.clip = clip;
        this.kind = kind;
        this.bare = step(false);
        this.readsParameters = bare.reads().contains(Inputs.param(ELEMENT))
                || slots().stream().anyMatch(Spec.SlotSpec::startsAtParameter);
    }

    /// One for each kind the rule tells apart, of parameters and slots in f32.
    public static List<Recipe> each(Settings settings, Clip clip) {
        return settings.rule().kinds().stream()
                .map(view -> new Recipe(settings, clip, new Kind(view, DType.F32, false)))
                .toList();
    }

    public Settings settings() {
        return settings;
    }

    /// What host values are computed from: the numbers of the settings in their order, then for each extra input of the rule
    /// whether the step brings it, 1 or 0.
    static List<String> hostNames(Settings settings) {
        var given = settings.rule().spec().inputs().stream().map(input -> Inputs.GIVEN + input.name());
        return Stream.concat(settings.numberNames().stream(), given).toList();
    }

    public Kind kind() {
        return kind;
    }

    /// The step as the rule and the session's settings have it, the host's choices still open.
    public Program step(boolean updatesParameters) {
        return OptimizerProgram.step(settings, clip, kind.view(), ELEMENT, updatesParameters);
    }

    /// What the host has to decide before a step, as bits of [#plan]'s outcomes.
    public List<Expr> conditions() {
        return ChooseByHost.conditions(bare);
    }

    /// The passes for one outcome of the conditions.
    public Plan plan(boolean updatesParameters, long outcomes) {
        return Planner.plan(Rewrites.expand(ChooseByHost.decided(step(updatesParameters), outcomes)));
    }

    /// The passes for tensors that differ in the conditions.
    Plan undecidedPlan(boolean updatesParameters) {
        return Planner.plan(Rewrites.expand(ChooseByHost.undecided(step(updatesParameters))));
    }

    /// The passes that measure the gradient.
    static Plan measurePlan(Clip clip) {
        return Planner.plan(Rewrites.expand(OptimizerProgram.measure(clip, ELEMENT)));
    }

    /// Whether parameter values have to be there before the first step.
    public boolean readsParameters() {
        return readsParameters;
    }

    /// The averages of the parameters that this configuration keeps, by name.
    Map<String, Plan> averages() {
        var plans = new LinkedHashMap<String, Plan>();
        OptimizerProgram.averages(settings, kind.view(), ELEMENT).forEach((name, program) ->
                plans.put(name, Planner.plan(Rewrites.expand(ChooseByHost.undecided(program)))));
        return plans;
    }

    /// The slots this configuration keeps, in the order its parts name them.
    public List<Spec.SlotSpec> slots() {
        return settings.slots(kind.view()).stream().filter(slot -> uses(slot.name())).toList();
    }

    private boolean uses(String slot) {
        return bare.reads().stream().anyMatch(b -> b.kind() == Buffer.Kind.SLOT && b.name().equals(slot))
                || bare.assignments().stream()
                        .anyMatch(a -> a.target().kind() == Buffer.Kind.SLOT && a.target().name().equals(slot));
    }

    static Buffer buffer(Spec.SlotSpec slot) {
        return new Buffer(Buffer.Kind.SLOT, slot.name(), slot.scope(), slot.storage());
    }

    /// The program's text: equal texts mean state moves between sessions bit for bit.
    String text() {
        return bare.toString();
    }
}
