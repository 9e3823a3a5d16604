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
import java.util.function.ToDoubleFunction;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// The equations that are printed say what the program does: computed from their text they give the interpreter's numbers,
/// for every rule with each of its options turned over.
class EquationsOfRulesTest {
    private static final int[] SIZES = {5, 4};

    static Stream<Map<String, Object>> optimizers() {
        return Catalogue.rules().stream().flatMap(rule -> variants(rule.spec()).stream()).filter(EquationsOfRulesTest::accepted);
    }

    private static List<Map<String, Object>> variants(Spec spec) {
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
        return variants;
    }

    private static List<Object> others(Hyperparameter hyperparameter) {
        return switch (hyperparameter) {
            case Hyperparameter.Flag flag -> List.of(!flag.initial());
            case Hyperparameter.Choice choice -> List.copyOf(choice.values());
            case Hyperparameter.Real real when real.off().isPresent() -> List.of(real.range().contains(2) ? 2 : 0.5, 0);
            case Hyperparameter.Real _ -> List.of();
        };
    }

    private static boolean accepted(Map<String, Object> optimizer) {
        try {
            Settings.read(optimizer, List.of(), null);
            return true;
        } catch (ServiceException refused) {
            return false;
        }
    }

    @ParameterizedTest
    @MethodSource("optimizers")
    void sayWhatTheProgramDoes(Map<String, Object> optimizer) {
        var settings = Settings.read(optimizer, List.of(), null);
        var program = OptimizerProgram.step(settings, new Clip.None(), Type.F64, false);
        for (long t : new long[] {1, 2, 7, 600}) {
            compare(program, settings, t);
        }
    }

    @ParameterizedTest
    @MethodSource("optimizers")
    void areTheSameInEveryPrecision(Map<String, Object> optimizer) {
        var settings = Settings.read(optimizer, List.of(), null);
        var precise = OptimizerProgram.step(settings, new Clip.None(), Type.F64, false);
        assertThat(Entry.equations(settings)).isEqualTo(Equations.of(precise));
    }

    private static void compare(Program program, Settings settings, long t) {
        var extents = Arrays.stream(SIZES).mapToObj(n -> new Interpreter.Extent(n, 1, 0, true, t)).toList();
        var hypers = hypers(settings, t);
        var arrays = arrays(program, settings.rule().spec(), extents, new Random(t));
        var evaluation = new Evaluation(SIZES);
        evaluation.put("t", t);
        hypers.forEach(evaluation::put);
        var asked = names(program);
        arrays.forEach((buffer, bits) -> {
            if (buffer.kind() != Buffer.Kind.DELTA) {
                evaluation.put(name(buffer, asked), values(buffer, bits));
            }
        });
        Equations.of(program).forEach(evaluation::add);
        Interpreter.run(program, extents, (name, _) -> hypers.get(name), arrays);
        for (var assignment : program.assignments()) {
            var target = assignment.target();
            var name = name(target, asked) + (target.kind() == Buffer.Kind.SLOT ? "'" : "");
            check(name + " at step " + t, values(target, arrays.get(target)), evaluation.get(name));
        }
    }

    private static void check(String name, double[] expected, double[] said) {
        for (int i = 0; i < expected.length; i++) {
            double value = said.length == 1 ? said[0] : said.length == expected.length ? said[i] : said[i < SIZES[0] ? 0 : 1];
            assertThat(value).as(name).isCloseTo(expected[i], within(1e-9 * Math.abs(expected[i]) + 1e-300));
        }
    }

    /// As set, with a rate that a schedule has moved.
    private static Map<String, Double> hypers(Settings settings, long t) {
        var values = new double[settings.numberNames().size()];
        settings.values(0, t, values);
        var hypers = new HashMap<String, Double>();
        for (int i = 0; i < values.length; i++) {
            hypers.put(settings.numberNames().get(i), values[i]);
        }
        hypers.computeIfPresent("lr", (_, lr) -> 0.75 * lr);
        return hypers;
    }

    private static Map<Buffer, long[]> arrays(Program program, Spec spec, List<Interpreter.Extent> extents, Random random) {
        var arrays = new HashMap<Buffer, long[]>();
        var buffers = new ArrayList<>(program.reads());
        program.assignments().forEach(assignment -> buffers.add(assignment.target()));
        for (var buffer : buffers) {
            if (buffer.kind() != Buffer.Kind.EXTENT && !arrays.containsKey(buffer)) {
                boolean positive = spec.slots().stream()
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

    private static List<String> names(Program program) {
        return program.nodes().stream()
                .filter(Expr.Hyper.class::isInstance)
                .map(node -> ((Expr.Hyper) node).name())
                .toList();
    }

    private static String name(Buffer buffer, List<String> hyperparameters) {
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
