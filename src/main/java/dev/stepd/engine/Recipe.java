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
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// A session's optimizer as programs, before any memory or device.
public final class Recipe {
    /// What elements are computed and stored in.
    private static final Type ELEMENT = Type.F32;

    private final Settings settings;
    private final Clip clip;
    private final Program bare;
    private final boolean readsParameters;

    public Recipe(Settings settings, Clip clip) {
        this.settings = settings;
        this.clip = clip;
        this.bare = step(false);
        this.readsParameters = bare.reads().contains(Inputs.param(ELEMENT))
                || slots().stream().anyMatch(Spec.SlotSpec::startsAtParameter);
    }

    static Recipe of(Engine.Blueprint blueprint) {
        var composition = blueprint.composition();
        var settings = Settings.read(composition, blueprint.groups(), blueprint.schedule());
        return new Recipe(settings, Clip.read(composition.clip()));
    }

    public Settings settings() {
        return settings;
    }

    Clip clip() {
        return clip;
    }

    /// The step as the rule and the session's settings have it, the host's choices still open.
    public Program step(boolean updatesParameters) {
        return OptimizerProgram.step(settings, clip, ELEMENT, updatesParameters);
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
    static Plan measurePlan() {
        return Planner.plan(Rewrites.expand(OptimizerProgram.measure(ELEMENT)));
    }

    boolean readsParameters() {
        return readsParameters;
    }

    /// The averages of the parameters that this configuration keeps, by name.
    Map<String, Plan> averages() {
        var plans = new LinkedHashMap<String, Plan>();
        OptimizerProgram.averages(settings, ELEMENT).forEach((name, program) ->
                plans.put(name, Planner.plan(Rewrites.expand(ChooseByHost.undecided(program)))));
        return plans;
    }

    /// The slots this configuration keeps, in the order its parts name them.
    List<Spec.SlotSpec> slots() {
        return settings.slots().stream().filter(slot -> uses(slot.name())).toList();
    }

    private boolean uses(String slot) {
        return bare.reads().stream().anyMatch(b -> b.kind() == Buffer.Kind.SLOT && b.name().equals(slot))
                || bare.assignments().stream()
                        .anyMatch(a -> a.target().kind() == Buffer.Kind.SLOT && a.target().name().equals(slot));
    }

    static Buffer buffer(Spec.SlotSpec slot) {
        return new Buffer(Buffer.Kind.SLOT, slot.name(), slot.scope(), slot.storage());
    }

    /// `sha256:` over the program's text: equal hashes mean state moves between sessions bit for bit.
    String hash() {
        try {
            var digest = MessageDigest.getInstance("SHA-256").digest(bare.toString().getBytes(StandardCharsets.UTF_8));
            return "sha256:" + HexFormat.of().formatHex(digest);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }
}
