package dev.stepd.rule;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Program;
import dev.stepd.expr.Type;
import dev.stepd.expr.equation.Equation;
import dev.stepd.expr.equation.Equations;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// What the catalogue tells of one of its names. What it tells of steps is read off the programs of the default
/// configuration; what goes around an optimizer is told around plain SGD.
///
/// @param spec name, title, paper, what the settings and the slots are
/// @param composition what stands for it while nothing is set, without presets
/// @param steps one for each kind of tensor that is told apart, the usual one first
/// @param variations the settings that make other equations, such as `amsgrad = true`
public record Entry(
        Kind kind, Spec spec, Composition composition, List<Step> steps, List<String> variations) {
    private static final Map<String, Object> PLAIN = Map.of("name", "sgd");

    /// What a name stands for.
    public enum Kind {
        /// A rule of its own.
        OPTIMIZER,
        /// A composition under a name, asked for as an optimizer is.
        PRESET,
        /// What goes around any optimizer.
        WRAPPER,
        /// An average of the parameters that a session can keep.
        AVERAGE
    }

    /// What happens to tensors of one kind.
    ///
    /// @param tensors the kind; empty where all are alike
    /// @param slots what is kept of them
    /// @param readsParameters whether parameter values have to be uploaded before the first step
    /// @param equations the step
    /// @param averages the averages that can be read, of what a step has left
    public record Step(
            String tensors,
            List<Spec.SlotSpec> slots,
            boolean readsParameters,
            List<Equation> equations,
            List<Equation> averages) {
        public Step {
            slots = List.copyOf(slots);
            equations = List.copyOf(equations);
            averages = List.copyOf(averages);
        }
    }

    public Entry {
        steps = List.copyOf(steps);
        variations = List.copyOf(variations);
    }

    /// Everything: what `optimizer.name` may be, then wrappers and averages.
    public static List<Entry> all() {
        var entries = new ArrayList<Entry>();
        Catalogue.rules().forEach(rule -> entries.add(of(Kind.OPTIMIZER, rule.spec(), Composition::of)));
        Catalogue.presets().forEach(preset -> entries.add(of(Kind.PRESET, preset.spec(), Composition::of)));
        Catalogue.wrappers().forEach(wrapper ->
                entries.add(of(Kind.WRAPPER, wrapper.spec(), set -> Composition.of(PLAIN).wrapped(set))));
        Catalogue.averages().forEach(average ->
                entries.add(of(Kind.AVERAGE, average.spec(), set -> Composition.of(PLAIN).averaged(set))));
        return entries;
    }

    /// @param around the composition that settings of this name stand in
    private static Entry of(Kind kind, Spec spec, Function<Map<String, @Nullable Object>, Composition> around) {
        var standard = around.apply(Map.of("name", spec.name())).expanded();
        var settings = Settings.read(standard, List.of(), null);
        var clip = Clip.read(standard.clip());
        var owner = kind == Kind.OPTIMIZER || kind == Kind.PRESET ? null : spec;
        var steps = settings.rule().kinds().stream().map(tensors -> step(settings, clip, tensors, owner)).toList();
        return new Entry(kind, spec, standard, steps, new Variations(spec, around).told());
    }

    /// @param owner whose slots are told of, or null for all
    private static Step step(Settings settings, Clip clip, String tensors, @Nullable Spec owner) {
        var program = OptimizerProgram.step(settings, clip, tensors, Type.F32, false);
        var slots = kept(program, settings.slots(tensors)).stream()
                .filter(slot -> owner == null || owner.slots().stream().anyMatch(own -> own.name().equals(slot.name())))
                .toList();
        boolean reads = program.reads().contains(Inputs.param(Type.F32))
                || slots.stream().anyMatch(Spec.SlotSpec::startsAtParameter);
        return new Step(tensors, slots, reads, Equations.of(program), averages(settings, tensors));
    }

    private static List<Spec.SlotSpec> kept(Program program, List<Spec.SlotSpec> slots) {
        var kept = new HashSet<String>();
        Stream.concat(program.reads().stream(), program.assignments().stream().map(Program.Assignment::target))
                .filter(buffer -> buffer.kind() == Buffer.Kind.SLOT)
                .forEach(buffer -> kept.add(buffer.name()));
        return slots.stream().filter(slot -> kept.contains(slot.name())).toList();
    }

    private static List<Equation> averages(Settings settings, String tensors) {
        var averages = new ArrayList<Equation>();
        OptimizerProgram.averages(settings, tensors, Type.F32).values().forEach(program ->
                Equations.of(program).forEach(equation ->
                        averages.add(equation.name().equals("delta") ? equation.named("average") : equation)));
        return averages;
    }

    /// What a slot starts at, as equations write it; of random starts, mean and deviation of the draws.
    public static String start(Spec.SlotSpec slot) {
        var initial = Equations.text(slot.initial());
        return slot.random() ? "normal(0, " + initial + ")" : initial;
    }

    /// Whether parameter values have to be uploaded before the first step.
    public boolean needsParameters() {
        return steps.stream().anyMatch(Step::readsParameters);
    }

    /// Whether the default configuration keeps a slot of this name.
    public boolean keeps(String slot) {
        return steps.stream().flatMap(step -> step.slots().stream()).anyMatch(kept -> kept.name().equals(slot));
    }

    /// Every slot that a configuration may use; those of the default one as it keeps them.
    public List<Spec.SlotSpec> slots() {
        var kept = steps.stream().flatMap(step -> step.slots().stream()).distinct();
        return Stream.concat(kept, spec.slots().stream().filter(slot -> !keeps(slot.name()))).toList();
    }
}
