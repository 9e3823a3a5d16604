package dev.stepd.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.device.HostArray;
import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.Shape;
import dev.stepd.tensor.TensorSpec;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Every optimizer goes down where going down is easy, a parabola, and where it is not, the valley of Rosenbrock, with its slots
/// in f32 and in codes.
class ConvergenceTest {
    private static final Engine ENGINE = new Engine(new CpuDevice(1L << 28, 2));
    private static final int ELEMENTS = 600;
    private static final int STEPS = 60;
    private static final double RATE = 1e-3;

    /// What is minimized.
    private enum Ground {
        PARABOLA {
            @Override
            double height(float x, float y) {
                return (x * x + y * y) / 2;
            }

            @Override
            float slope(float x, float y, boolean first) {
                return first ? x : y;
            }
        },
        ROSENBROCK {
            @Override
            double height(float x, float y) {
                return (1 - x) * (1 - x) + STEEPNESS * (y - x * x) * (y - x * x);
            }

            @Override
            float slope(float x, float y, boolean first) {
                return first ? -2 * (1 - x) - 4 * STEEPNESS * x * (y - x * x) : 2 * STEEPNESS * (y - x * x);
            }
        };

        /// Of the valley's walls; Rosenbrock's 100 would ask for other rates than the plain.
        private static final float STEEPNESS = 5;

        abstract double height(float x, float y);

        abstract float slope(float x, float y, boolean first);
    }

    @AfterAll
    static void close() {
        ENGINE.close();
    }

    static Stream<Map<String, Object>> optimizers() {
        return Training.optimizers().filter(optimizer -> optimizer.size() == 1).flatMap(optimizer ->
                Training.composition(optimizer).expanded().state() != null
                        ? Stream.of(optimizer)
                        : Stream.of("f32", "bf16", "int8").map(format -> EveryFormatTest.kept(rated(optimizer), format)));
    }

    /// At a rate that suits most; Nero without its constraints, which no ground knows of.
    private static Map<String, Object> rated(Map<String, Object> optimizer) {
        var rated = new LinkedHashMap<>(optimizer);
        var own = List.of("prodigy", "dadapt_adam", "dadapt_sgd", "dadapt_lion", "dadapt_adagrad", "sania", "gravity");
        if (!own.contains(optimizer.get("name"))) {
            rated.put("lr", RATE);
        }
        if (optimizer.get("name").equals("dadapt_sgd")) {
            rated.put("lr", 0.1); // its estimate takes the slope at the start for the steepest
        }
        if (optimizer.get("name").equals("nero")) {
            rated.put("constraints", false);
        }
        return rated;
    }

    @ParameterizedTest
    @MethodSource("optimizers")
    void goesDown(Map<String, Object> optimizer) {
        var composition = Training.composition(optimizer);
        var tensors = List.of(new TensorSpec("w", Shape.of(20, ELEMENTS / 20), DType.F32));
        for (var ground : Ground.values()) {
            var blueprint = new Engine.Blueprint(tensors, composition, List.of(), null, Engine.NonFinite.REJECT);
            try (var stepper = ENGINE.create(blueprint)) {
                var parameters = ((HostArray) stepper.parameters().getFirst().array()).segment();
                for (int i = 0; i < ELEMENTS; i++) {
                    parameters.setAtIndex(ValueLayout.JAVA_FLOAT, i, (i % 2 == 0 ? -0.6f : 0.8f) + 0.3f * i / ELEMENTS);
                }
                stepper.parametersLoaded();
                double before = height(ground, parameters);
                descend(ground, stepper, parameters);
                assertThat(height(ground, parameters)).as("%s after %d steps", ground, STEPS).isLessThan(before);
            }
        }
    }

    private static void descend(Ground ground, Stepper stepper, MemorySegment parameters) {
        var present = new BitSet();
        present.set(0);
        try (var body = ENGINE.hostMemory().allocate(stepper.body().byteCount(), "a body")) {
            while (stepper.step() < STEPS) {
                var given = GivenInputs.fill(stepper, body.segment());
                for (int i = 0; i < ELEMENTS; i += 2) {
                    float x = parameters.getAtIndex(ValueLayout.JAVA_FLOAT, i);
                    float y = parameters.getAtIndex(ValueLayout.JAVA_FLOAT, i + 1);
                    body.segment().setAtIndex(ValueLayout.JAVA_FLOAT, i, ground.slope(x, y, true));
                    body.segment().setAtIndex(ValueLayout.JAVA_FLOAT, i + 1, ground.slope(x, y, false));
                }
                assertThat(stepper.step(body.segment(), present, given)).isEqualTo(Stepper.Outcome.APPLIED);
            }
        }
    }

    private static double height(Ground ground, MemorySegment parameters) {
        double height = 0;
        for (int i = 0; i < ELEMENTS; i += 2) {
            height += ground.height(parameters.getAtIndex(ValueLayout.JAVA_FLOAT, i),
                    parameters.getAtIndex(ValueLayout.JAVA_FLOAT, i + 1));
        }
        return height;
    }
}
