package dev.stepd.rule;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.engine.Engine;
import dev.stepd.engine.GivenInputs;
import dev.stepd.engine.Stepper;
import dev.stepd.engine.Values;
import dev.stepd.error.ServiceException;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.Shape;
import dev.stepd.tensor.TensorSpec;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Options that no recorded trajectory has set still make programs that run: each is turned over alone, with and without
/// weight decay, and tensors join the session late, so that they disagree in what the host decides.
class EveryOptionTest {
    private static final List<TensorSpec> TENSORS = List.of(
            new TensorSpec("w", new Shape(List.of(3L, 5L)), DType.F32),
            new TensorSpec("b", new Shape(List.of(2L)), DType.F32));
    private static final Engine ENGINE = new Engine(new CpuDevice(1 << 24, 1));

    @AfterAll
    static void close() {
        ENGINE.close();
    }

    static Stream<Map<String, Object>> optimizers() {
        return Catalogue.rules().stream().flatMap(rule -> variants(rule).stream()).filter(EveryOptionTest::makesSense);
    }

    private static List<Map<String, Object>> variants(Rule rule) {
        var variants = new ArrayList<Map<String, Object>>();
        var spec = rule.spec();
        var bases = new ArrayList<Map<String, Object>>();
        bases.add(Map.of("name", spec.name()));
        if (spec.hyperparameter("weight_decay").isPresent()) {
            bases.add(Map.of("name", spec.name(), "weight_decay", 0.1));
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
            case Hyperparameter.Real real when real.off().isPresent() && real.initial() == 0 ->
                List.of(real.range().contains(2) ? 2 : 0.5);
            case Hyperparameter.Real real when real.off().isPresent() && real.off().getAsDouble() == 0 -> List.of(0);
            case Hyperparameter.Real _ -> List.of();
            case Hyperparameter.Count count -> List.of(count.min(), Math.min(count.max(), 3));
            case Hyperparameter.Numbers list ->
                List.of(List.of(list.range().min()), Collections.nCopies(list.maxLength(), list.initial().getLast()));
        };
    }

    private static boolean makesSense(Map<String, Object> optimizer) {
        try {
            ENGINE.resolved(blueprint(optimizer));
            return true;
        } catch (ServiceException refused) {
            return false;
        }
    }

    private static Engine.Blueprint blueprint(Map<String, Object> optimizer) {
        var schedule = Map.<String, Object>of("name", "linear", "total_steps", 9);
        return new Engine.Blueprint(TENSORS, optimizer, List.of(), schedule, null, Engine.NonFinite.REJECT);
    }

    @ParameterizedTest
    @MethodSource("optimizers")
    void takesSteps(Map<String, Object> optimizer) {
        try (var stepper = ENGINE.create(blueprint(optimizer));
                var body = ENGINE.hostMemory().allocate(stepper.body().byteCount(), "a body")) {
            for (var part : stepper.parameters()) {
                var values = new float[(int) part.shape().elementCount()];
                values[0] = 0.5f;
                Values.put(values, part.array());
            }
            stepper.parametersLoaded();
            for (int t = 1; t <= 4; t++) {
                for (long i = 0; i < stepper.layout().elementCount(); i++) {
                    body.segment().setAtIndex(ValueLayout.JAVA_FLOAT, i, 0.25f * (i % 3 - 1) * t);
                }
                var present = new BitSet();
                present.set(0, t == 1 ? 1 : TENSORS.size());
                assertThat(stepper.step(body.segment(), present, GivenInputs.fill(stepper, body.segment()))).isEqualTo(Stepper.Outcome.APPLIED);
                for (var part : stepper.parameters()) {
                    for (float value : Values.floats(part.array())) {
                        assertThat(value).isFinite();
                    }
                }
            }
        }
    }
}
