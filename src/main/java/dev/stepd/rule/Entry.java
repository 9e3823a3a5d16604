package dev.stepd.rule;

import dev.stepd.error.ServiceException;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Program;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.expr.equation.Equation;
import dev.stepd.expr.equation.Equations;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/// What the catalogue tells of a name that an optimizer can be asked for by. What it tells of a step is read off the
/// program of the default configuration.
///
/// @param spec name, title, paper, what the settings and the slots are
/// @param kept the names of the slots that the default configuration keeps
/// @param inputs what its step takes beside gradients, as bodies name it: `<tensor>#<input>`, or `#<input>` for the session
/// @param needsParameters whether parameter values have to be uploaded before its first step
/// @param equations its step
/// @param variations the settings that change the equations, such as `amsgrad = true`
public record Entry(
        Kind kind,
        Spec spec,
        Set<String> kept,
        List<String> inputs,
        boolean needsParameters,
        List<Equation> equations,
        List<String> variations) {
    /// What a name stands for.
    public enum Kind {
        /// A rule of its own.
        OPTIMIZER
    }

    public Entry {
        kept = Set.copyOf(kept);
        inputs = List.copyOf(inputs);
        equations = List.copyOf(equations);
        variations = List.copyOf(variations);
    }

    /// Everything there is, in the catalogue's order.
    public static List<Entry> all() {
        return Catalogue.rules().stream().map(Entry::of).toList();
    }

    static Entry of(Rule rule) {
        var spec = rule.spec();
        var program = program(settings(Map.of("name", spec.name())));
        var kept = kept(program);
        boolean copies = spec.slots().stream().anyMatch(slot -> kept.contains(slot.name()) && slot.startsAtParameter());
        return new Entry(Kind.OPTIMIZER, spec, kept, inputs(program), copies || program.reads().contains(Inputs.param(Type.F32)),
                Equations.of(program), variations(spec, program));
    }

    private static Settings settings(Map<String, Object> optimizer) {
        return Settings.read(optimizer, List.of(), null);
    }

    /// The rule's step alone: without clipping, and without moving the parameter.
    private static Program program(Settings settings) {
        return OptimizerProgram.step(settings, new Clip.None(), Type.F32, false);
    }

    /// The step's equations for other settings than the defaults.
    public static List<Equation> equations(Settings settings) {
        return Equations.of(program(settings));
    }

    /// The slots that the default configuration keeps.
    public List<Spec.SlotSpec> keptSlots() {
        return spec.slots().stream().filter(slot -> kept.contains(slot.name())).toList();
    }

    private static Set<String> kept(Program program) {
        var kept = new HashSet<String>();
        program.reads().stream().filter(b -> b.kind() == Buffer.Kind.SLOT).forEach(b -> kept.add(b.name()));
        program.assignments().stream()
                .filter(a -> a.target().kind() == Buffer.Kind.SLOT)
                .forEach(a -> kept.add(a.target().name()));
        return kept;
    }

    private static List<String> inputs(Program program) {
        return program.reads().stream()
                .filter(buffer -> buffer.kind() == Buffer.Kind.INPUT)
                .map(buffer -> (buffer.scope().equals(Scope.SESSION) ? "#" : "<tensor>#") + buffer.name())
                .toList();
    }

    /// Tries every setting, alone and then beside each of those that made a difference: what it does to the program is
    /// what tells.
    private static List<String> variations(Spec spec, Program standard) {
        var standing = Map.<String, Object>of("name", spec.name());
        var first = differing(spec, standing, shape(standard));
        var told = new LinkedHashMap<String, String>();
        first.forEach((name, trial) -> told.put(trial.told(), trial.told()));
        for (var base : first.values()) {
            var shape = shape(program(settings(base.optimizer())));
            differing(spec, base.optimizer(), shape).forEach((name, trial) ->
                    told.putIfAbsent(trial.told(), trial.told() + " (with " + base.told() + ")"));
        }
        return List.copyOf(told.values());
    }

    /// A configuration, and what is told of the last setting that made it.
    private record Trial(String told, Map<String, Object> optimizer) {}

    /// The settings that, added to `standing`, make another program than one of `shape`, by how they are told.
    private static Map<String, Trial> differing(Spec spec, Map<String, Object> standing, List<Object> shape) {
        var differing = new LinkedHashMap<String, Trial>();
        for (var hyperparameter : spec.hyperparameters()) {
            if (standing.containsKey(hyperparameter.name())) {
                continue;
            }
            trials(hyperparameter).forEach((shown, value) -> {
                var optimizer = new HashMap<>(standing);
                optimizer.put(hyperparameter.name(), value);
                var told = hyperparameter.name() + " " + shown;
                if (differs(optimizer, shape)) {
                    differing.put(told, new Trial(told, optimizer));
                }
            });
        }
        return differing;
    }

    private static boolean differs(Map<String, Object> optimizer, List<Object> shape) {
        try {
            return !shape(program(settings(optimizer))).equals(shape);
        } catch (ServiceException meaningless) {
            return false; // without further settings that it goes with
        }
    }

    /// Everything that makes programs differ, in less time than their texts take.
    private static List<Object> shape(Program program) {
        var shape = new ArrayList<Object>();
        var numbers = new IdentityHashMap<Expr, Integer>();
        for (var node : program.nodes()) {
            numbers.put(node, numbers.size());
            shape.add(switch (node) {
                case Expr.Leaf leaf -> leaf;
                case Expr.Unary unary -> unary.op();
                case Expr.Binary binary -> binary.op();
                case Expr.Compare compare -> compare.op();
                case Expr.Reduce reduce -> List.of(reduce.op(), reduce.over());
                case Expr.Convert _, Expr.Bits _, Expr.Fma _, Expr.Select _ -> node.getClass();
            });
            node.operands().forEach(operand -> shape.add(numbers.get(operand)));
        }
        program.assignments().forEach(a -> shape.addAll(List.of(a.target(), numbers.get(a.value()))));
        return shape;
    }

    /// Values to try, by how they are told.
    private static Map<String, Object> trials(Hyperparameter hyperparameter) {
        return switch (hyperparameter) {
            case Hyperparameter.Flag flag -> Map.of("= " + !flag.initial(), !flag.initial());
            case Hyperparameter.Choice choice -> {
                var others = new LinkedHashMap<String, Object>();
                choice.values().stream().filter(v -> !v.equals(choice.initial())).forEach(v -> others.put("= " + v, v));
                yield others;
            }
            case Hyperparameter.Real real when real.initial() != 0 ->
                real.range().contains(0) ? Map.of("= 0", 0) : Map.of();
            case Hyperparameter.Real real -> Map.of("other than 0", real.range().contains(2) ? 2 : 0.5);
        };
    }
}
