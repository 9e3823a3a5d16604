package dev.stepd.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.engine.Training.Tensor;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.tensor.Shape;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// What holds for the whole catalogue, whatever an optimizer computes.
class EveryOptimizerTest {
    private static final List<Tensor> TENSORS = List.of(
            Tensor.of("a.weight", 7, 5), Tensor.of("a.bias", 7), Tensor.of("none", 0), Tensor.of("b.weight", 3, 4, 2),
            Tensor.of("scalar"));

    static Stream<Map<String, Object>> optimizers() {
        return Training.optimizers();
    }

    /// Those for which a tensor's step does not depend on the others.
    static Stream<Map<String, Object>> tensorwise() {
        return optimizers().filter(o -> reductions(o).noneMatch(r -> r.over().coarserThan(dev.stepd.expr.Scope.TENSOR)))
                .filter(o -> !sharesCounters(o))
                .filter(o -> nodes(o).noneMatch(EveryOptimizerTest::isMeasured))
                .map(EveryOptimizerTest::withoutLast);
    }

    /// SCALE gives the last matrix of a session momentum; all or none, it does not matter what else there is.
    private static Map<String, Object> withoutLast(Map<String, Object> optimizer) {
        var changed = new LinkedHashMap<>(optimizer);
        if (optimizer.get("name").equals("scale")) {
            changed.put("momentum_on", "all");
        }
        return changed;
    }

    /// Every learning rate of an optimizer set to the same.
    private static Map<String, Object> rates(Map<String, Object> optimizer, double rate) {
        var rates = new LinkedHashMap<String, Object>();
        var spec = Training.settings(optimizer).rule().spec();
        for (var name : List.of("lr", "adam_lr", "lr_1d")) {
            spec.hyperparameter(name).ifPresent(_ -> rates.put(name, rate));
        }
        return rates;
    }

    /// Those for which an element's step does not depend on the others of its tensor.
    static Stream<Map<String, Object>> elementwise() {
        return tensorwise().filter(o -> reductions(o).findAny().isEmpty())
                .filter(o -> nodes(o).noneMatch(Expr.Ranked.class::isInstance))
                .filter(o -> Training.recipes(o).size() == 1);
    }

    private static Stream<Expr.Reduce> reductions(Map<String, Object> optimizer) {
        return nodes(optimizer).filter(Expr.Reduce.class::isInstance).map(Expr.Reduce.class::cast);
    }

    /// Whether something counts the session's steps, not the tensor's.
    private static boolean sharesCounters(Map<String, Object> optimizer) {
        return nodes(optimizer).anyMatch(n -> n instanceof Expr.Counter(var scope) && scope.equals(dev.stepd.expr.Scope.SESSION));
    }

    /// Whether a number was taken of the gradients of all tensors.
    private static boolean isMeasured(Expr node) {
        return node instanceof Expr.Read(var buffer) && buffer.kind() == Buffer.Kind.METRIC;
    }

    private static Stream<Expr> nodes(Map<String, Object> optimizer) {
        return Training.recipes(optimizer).stream().flatMap(recipe -> recipe.step(true).nodes().stream());
    }

    @ParameterizedTest
    @MethodSource("optimizers")
    void compilesNothingTwice(Map<String, Object> optimizer) {
        try (var training = Training.of(TENSORS, optimizer)) {
            for (int t = 1; t <= 8; t++) {
                training.step();
            }
            long compiled = training.device().compilations();
            for (int t = 9; t <= 12; t++) {
                training.step();
            }
            assertThat(training.device().compilations()).as("after eight steps").isEqualTo(compiled);
            var blueprint = Training.blueprint(TENSORS, optimizer, List.of(), null, null);
            try (var again = new Engine(training.device()).create(blueprint)) {
                again.parametersLoaded();
                for (int t = 1; t <= 8; t++) {
                    training.gradients(List.of());
                    again.step(training.body(), training.present(List.of("a.weight", "a.bias", "none", "b.weight", "scalar")), training.given());
                }
            }
            assertThat(training.device().compilations()).as("by a session like it").isEqualTo(compiled);
        }
    }

    /// One tensor or the same elements as five, in two groups that are alike: every bit is the same.
    @ParameterizedTest
    @MethodSource("elementwise")
    void elementsDoNotKnowTheirTensor(Map<String, Object> optimizer) {
        var whole = List.of(new Tensor("whole", Shape.of(1000), 1, 0));
        var parts = new ArrayList<Tensor>();
        long first = 0;
        for (long count : new long[] {1, 17, 0, 333, 649}) {
            parts.add(new Tensor("part" + parts.size(), Shape.of(count), 1, first));
            first += count;
        }
        var groups = List.<Map<String, Object>>of(Map.of("match", "part[34]"));
        try (var one = Training.of(whole, optimizer);
                var five = new Training(
                        new CpuDevice(1L << 28, 2), parts, Training.blueprint(parts, optimizer, groups, null, null))) {
            for (int t = 1; t <= 8; t++) {
                one.step();
                five.step();
            }
            one.bits("whole").forEach((key, bits) -> {
                if (bits.size() == 4000) {
                    var joined = parts.stream().flatMap(p -> five.bits(p.name()).get(key).stream()).toList();
                    assertThat(joined).as(key).isEqualTo(bits);
                }
            });
        }
    }

    @ParameterizedTest
    @MethodSource("tensorwise")
    void groupsAreLikeSessions(Map<String, Object> optimizer) {
        var other = new LinkedHashMap<>(optimizer);
        other.putAll(rates(optimizer, 0.0625));
        var group = rates(optimizer, 0.0625);
        group.put("match", "*.bias");
        var groups = List.of(group);
        var blueprint = Training.blueprint(TENSORS, optimizer, groups, null, null);
        try (var together = new Training(new CpuDevice(1L << 28, 2), TENSORS, blueprint);
                var most = Training.of(TENSORS, optimizer);
                var bias = Training.of(List.of(Tensor.of("a.bias", 7)), other)) {
            for (int t = 1; t <= 8; t++) {
                together.step();
                most.step();
                bias.step();
            }
            assertThat(together.bits("a.bias")).isEqualTo(bias.bits("a.bias")).isNotEqualTo(most.bits("a.bias"));
            assertThat(together.bits("a.weight")).isEqualTo(most.bits("a.weight"));
            assertThat(together.bits("b.weight")).isEqualTo(most.bits("b.weight"));
        }
    }

    /// Tensors come and go; each moves as it would alone, and where the host decides differently for those of one step, too.
    @ParameterizedTest
    @MethodSource("tensorwise")
    void absenceChangesNothingForOthers(Map<String, Object> optimizer) {
        var random = new SplittableRandom(1);
        var names = TENSORS.stream().map(Tensor::name).toList();
        try (var together = Training.of(TENSORS, optimizer)) {
            for (int t = 1; t <= 20; t++) {
                var present = names.stream().filter(_ -> random.nextInt(3) != 0).toList();
                var before = together.bits();
                together.step(present);
                for (var name : names) {
                    if (!present.contains(name)) {
                        before.put("delta of " + name, together.bits().get("delta of " + name).stream().map(_ -> (byte) 0).toList());
                        assertThat(together.bits()).as("absent at %d", t).containsEntry(name, before.get(name))
                                .containsEntry("delta of " + name, before.get("delta of " + name));
                    }
                }
            }
            for (var tensor : TENSORS) {
                try (var alone = Training.of(List.of(tensor), optimizer)) {
                    int position = names.indexOf(tensor.name());
                    for (long t = together.stepper().tensorSteps().get(position); t > 0; t--) {
                        alone.step();
                    }
                    var mine = alone.bits(tensor.name());
                    var among = together.bits(tensor.name());
                    mine.keySet().removeIf(key -> key.startsWith("delta"));
                    among.keySet().removeIf(key -> key.startsWith("delta"));
                    assertThat(among).as(tensor.name()).isEqualTo(mine);
                }
            }
        }
    }

    /// What a snapshot holds is enough: parameters, slots and counters in a new session go on bit for bit.
    @ParameterizedTest
    @MethodSource("optimizers")
    void goesOnElsewhere(Map<String, Object> optimizer) {
        try (var first = Training.of(TENSORS, optimizer); var second = Training.of(TENSORS, optimizer)) {
            for (int t = 1; t <= 4; t++) {
                first.step();
                first.step(List.of("a.weight", "scalar"));
            }
            second.resumeFrom(first);
            assertThat(second.stepper().step()).isEqualTo(8);
            for (int t = 5; t <= 8; t++) {
                for (var training : List.of(first, second)) {
                    training.step();
                    training.step(List.of("a.bias", "scalar"));
                }
            }
            assertThat(second.bits()).isEqualTo(first.bits());
            assertThat(second.stepper().tensorSteps()).isEqualTo(first.stepper().tensorSteps());
        }
    }
}
