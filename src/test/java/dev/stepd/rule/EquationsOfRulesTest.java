package dev.stepd.rule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.stepd.error.ServiceException;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Interpreter;
import dev.stepd.expr.Program;
import dev.stepd.expr.Scalar;
import dev.stepd.expr.Type;
import dev.stepd.expr.equation.Equations;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.function.ToDoubleFunction;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// The equations that are printed say what the program does: computed from their text they give the interpreter's numbers,
/// for every rule with each of its options turned over.
class EquationsOfRulesTest {
    private static final Grid GRID = new Grid();
    private static final Map<String, Object> MOMENTUM = Map.of("name", "sgd", "momentum", 0.9);

    static Stream<Composition> compositions() {
        var rules = Catalogue.rules().stream().flatMap(rule -> variants(rule.spec())).map(Composition::of);
        var presets = Catalogue.presets().stream().flatMap(preset -> variants(preset.spec())).map(Composition::of);
        var wrappers = Catalogue.wrappers().stream().flatMap(wrapper -> variants(wrapper.spec()))
                .map(set -> Composition.of(MOMENTUM).wrapped(set));
        var averages = Catalogue.averages().stream().flatMap(average -> variants(average.spec()))
                .map(set -> Composition.of(MOMENTUM).averaged(set));
        return Stream.of(rules, presets, wrappers, averages).flatMap(all -> all).filter(EquationsOfRulesTest::accepted);
    }

    private static Stream<Map<String, Object>> variants(Spec spec) {
        var variants = new ArrayList<Map<String, Object>>();
        var bases = new ArrayList<Map<String, Object>>(List.of(Map.of("name", spec.name())));
        for (var on : List.of("weight_decay", "momentum")) {
            if (spec.hyperparameter(on).isPresent()) {
                bases.add(Map.of("name", spec.name(), on, 0.3));
            }
        }
        for (var base : bases) {
            variants.add(base);
            spec.hyperparameters().forEach(h -> others(h).forEach(value -> {
                var variant = new HashMap<>(base);
                variant.put(h.name(), value);
                variants.add(variant);
            }));
        }
        return variants.stream();
    }

    private static List<Object> others(Hyperparameter hyperparameter) {
        return switch (hyperparameter) {
            case Hyperparameter.Flag flag -> List.of(!flag.initial());
            case Hyperparameter.Choice choice -> List.copyOf(choice.values());
            case Hyperparameter.Real real when real.off().isPresent() -> List.of(real.range().contains(2) ? 2 : 0.5, 0);
            case Hyperparameter.Count count -> List.of(Math.min(count.max(), 3));
            case Hyperparameter.Numbers _, Hyperparameter.Real _ -> List.of();
        };
    }

    private static boolean accepted(Composition composition) {
        try {
            Settings.read(composition, List.of(), null);
            return true;
        } catch (ServiceException refused) {
            return false;
        }
    }

    @ParameterizedTest
    @MethodSource("compositions")
    void sayWhatTheProgramDoes(Composition composition) {
        var settings = Settings.read(composition, List.of(), null);
        var clip = Clip.read(composition.expanded().clip());
        for (var kind : settings.rule().kinds()) {
            var program = OptimizerProgram.step(settings, clip, kind, Type.F64, false);
            assertThat(Equations.of(OptimizerProgram.step(settings, clip, kind, Type.F32, false)))
                    .as("equations of other precision").isEqualTo(Equations.of(program));
            for (long t : new long[] {1, 2, 7, 600}) {
                compare(program, settings, kind, t);
            }
        }
    }

    private static void compare(Program program, Settings settings, String kind, long t) {
        var hypers = hypers(program, settings, t);
        var arrays = arrays(program, settings.slots(kind), GRID.extents(t), new Random(t));
        var evaluation = new Evaluation(GRID);
        evaluation.put("t", t);
        hypers.forEach((name, value) -> evaluation.put(name.equals("delta") ? "delta_" : name, value));
        arrays.forEach((buffer, bits) -> {
            if (buffer.kind() != Buffer.Kind.DELTA) {
                evaluation.put(name(buffer, hypers.keySet()), values(buffer, bits));
            }
        });
        Equations.of(program).forEach(evaluation::add);
        Interpreter.run(program, GRID.extents(t), (name, _) -> hypers.get(name), arrays);
        for (var assignment : program.assignments()) {
            var target = assignment.target();
            var name = name(target, hypers.keySet()) + (target.kind() == Buffer.Kind.SLOT ? "'" : "");
            double rounding = target.storage() == Type.F32 ? 1e-7 : 1e-9;
            check("%s of %s at step %d".formatted(name, settings.resolved(), t), values(target, arrays.get(target)), evaluation.get(name), rounding);
        }
    }

    private static void check(String name, double[] expected, double[] said, double rounding) {
        for (int i = 0; i < expected.length; i++) {
            double value = said[GRID.index(said.length, i, expected.length)];
            assertThat(value).as(name).isCloseTo(expected[i], within(rounding * Math.abs(expected[i]) + 1e-12));
        }
    }

    /// What the program asks for: numbers as set, with a rate that a schedule has moved, and every input brought.
    private static Map<String, Double> hypers(Program program, Settings settings, long t) {
        var values = new double[settings.numberNames().size()];
        settings.values(0, t, values);
        var hypers = new HashMap<String, Double>();
        for (var node : program.nodes()) {
            if (node instanceof Expr.Hyper(String name, _)) {
                int index = settings.numberNames().indexOf(name);
                hypers.put(name, index < 0 ? 1 : values[index]);
            }
        }
        hypers.computeIfPresent("lr", (_, lr) -> 0.75 * lr);
        return hypers;
    }

    private static Map<Buffer, long[]> arrays(
            Program program, List<Spec.SlotSpec> slots, List<Interpreter.Extent> extents, Random random) {
        var arrays = new HashMap<Buffer, long[]>();
        var buffers = new ArrayList<>(program.reads());
        program.assignments().forEach(assignment -> buffers.add(assignment.target()));
        for (var buffer : buffers) {
            if (buffer.kind() != Buffer.Kind.EXTENT && !arrays.containsKey(buffer)) {
                boolean positive = slots.stream()
                        .anyMatch(slot -> slot.name().equals(buffer.name()) && slot.sign() == Spec.Sign.UNSIGNED);
                var array = new long[Interpreter.count(extents, buffer.scope())];
                Arrays.setAll(array, _ -> Scalar.of(buffer.storage(), value(random, positive)));
                arrays.put(buffer, array);
            }
        }
        return arrays;
    }

    private static double value(Random random, boolean positive) {
        double value = random.nextGaussian();
        return positive ? value * value : value;
    }

    private static String name(Buffer buffer, Set<String> hyperparameters) {
        return switch (buffer.kind()) {
            case GRAD -> "g";
            case PARAM -> "p";
            case DELTA -> "delta";
            default -> hyperparameters.contains(buffer.name()) ? buffer.name() + "_state" : buffer.name();
        };
    }

    private static double[] values(Buffer buffer, long[] bits) {
        ToDoubleFunction<Long> value = b -> Scalar.toDouble(buffer.storage(), b);
        return Arrays.stream(bits).boxed().mapToDouble(value).toArray();
    }
}
