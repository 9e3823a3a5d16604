package dev.stepd.rule;

import dev.stepd.error.ServiceException;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Program;
import dev.stepd.expr.Type;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/// Finds the settings that make other equations, by trying each: what it does to the programs is what tells.
///
/// @param around the composition that settings stand in
record Variations(Spec spec, Function<Map<String, @Nullable Object>, Composition> around) {
    /// A configuration, and what is told of the last setting that made it.
    private record Trial(String told, Map<String, @Nullable Object> settings) {}

    /// Each setting alone, then beside each of those that made a difference: `nesterov = true (with momentum other than 0)`.
    List<String> told() {
        var standing = Map.<String, @Nullable Object>of("name", spec.name());
        var first = differing(standing);
        var told = new LinkedHashMap<String, String>();
        first.forEach(trial -> told.put(trial.told, trial.told));
        for (var base : first) {
            differing(base.settings).forEach(trial -> told.putIfAbsent(trial.told, trial.told + " (with " + base.told + ")"));
        }
        return List.copyOf(told.values());
    }

    /// The settings that, added to `standing`, make other programs.
    private List<Trial> differing(Map<String, @Nullable Object> standing) {
        var shape = shape(standing);
        var differing = new ArrayList<Trial>();
        for (var hyperparameter : spec.hyperparameters()) {
            if (standing.containsKey(hyperparameter.name())) {
                continue;
            }
            trials(hyperparameter).forEach((shown, value) -> {
                var settings = new HashMap<>(standing);
                settings.put(hyperparameter.name(), value);
                if (differs(settings, shape)) {
                    differing.add(new Trial(hyperparameter.name() + " " + shown, settings));
                }
            });
        }
        return differing;
    }

    private boolean differs(Map<String, @Nullable Object> settings, List<Object> shape) {
        try {
            return !shape(settings).equals(shape);
        } catch (ServiceException meaningless) {
            return false; // without further settings that it goes with
        }
    }

    /// Values to try, by how they are told.
    private static Map<String, Object> trials(Hyperparameter hyperparameter) {
        return switch (hyperparameter) {
            case Hyperparameter.Flag flag -> Map.of("= " + !flag.initial(), !flag.initial());
            case Hyperparameter.Choice choice -> {
                var others = new LinkedHashMap<String, Object>();
                choice.values().stream().filter(v -> !v.equals(choice.initial())).forEach(v -> others.put("= " + v, v));
                if (choice.orWhole()) {
                    others.put("a whole number", 2);
                }
                yield others;
            }
            case Hyperparameter.Count count ->
                Map.of("other than " + count.initial(), count.initial() < count.max() ? count.initial() + 1 : count.min());
            case Hyperparameter.Numbers list -> Map.of("of another length", longer(list));
            case Hyperparameter.Real real when real.initial() != 0 ->
                real.range().contains(0) ? Map.of("= 0", 0) : Map.of();
            case Hyperparameter.Real real -> Map.of("other than 0", real.range().contains(2) ? 2 : 0.5);
        };
    }

    private static List<Double> longer(Hyperparameter.Numbers list) {
        var values = new ArrayList<>(list.initial());
        values.add(list.initial().getLast());
        return values;
    }

    /// Everything that makes the programs of two configurations differ, in less time than their texts take.
    private List<Object> shape(Map<String, @Nullable Object> settings) {
        var composition = around.apply(settings).expanded();
        var read = Settings.read(composition, List.of(), null);
        var clip = Clip.read(composition.clip());
        var shape = new ArrayList<Object>();
        for (var kind : read.rule().kinds()) {
            add(OptimizerProgram.step(read, clip, kind, Type.F32, false), shape);
            OptimizerProgram.averages(read, kind, Type.F32).values().forEach(average -> add(average, shape));
        }
        return shape;
    }

    private static void add(Program program, List<Object> shape) {
        var numbers = new IdentityHashMap<Expr, Integer>();
        for (var node : program.nodes()) {
            numbers.put(node, numbers.size());
            shape.add(switch (node) {
                case Expr.Leaf leaf -> leaf;
                case Expr.Unary unary -> unary.op();
                case Expr.Binary binary -> binary.op();
                case Expr.Compare compare -> compare.op();
                case Expr.Reduce reduce -> List.of(reduce.op(), reduce.over());
                case Expr.Ranked ranked -> ranked.over();
                case Expr.Lookup lookup -> lookup.table();
                case Expr.Convert convert -> convert.type();
                case Expr.Bits _, Expr.Fma _, Expr.Select _, Expr.RunningSum _ -> node.getClass();
            });
            node.operands().forEach(operand -> shape.add(numbers.get(operand)));
        }
        program.assignments().forEach(a -> shape.addAll(List.of(a.target(), numbers.get(a.value()))));
    }
}
