package dev.stepd.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.engine.Training.Tensor;
import dev.stepd.expr.codec.Formats;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// What holds for every optimizer of the catalogue in every format, over tensors of all shapes: whole blocks, a short last
/// block, less than a block, nothing, and one that is too small to be coded.
class EveryFormatTest {
    static final List<Tensor> TENSORS = List.of(
            Tensor.of("blocks", 64, 8), Tensor.of("odd", 33, 9), Tensor.of("kernel", 4, 6, 3, 3), Tensor.of("short", 65),
            Tensor.of("none", 0, 4), Tensor.of("small", 7));

    static Stream<Map<String, Object>> optimizers() {
        return Training.optimizers()
                .filter(optimizer -> optimizer.size() == 1)
                .filter(optimizer -> Training.composition(optimizer).expanded().state() == null)
                .flatMap(optimizer -> Formats.NAMES.stream().skip(1).map(format -> kept(optimizer, format)));
    }

    /// With every slot in the format that may be.
    static Map<String, Object> kept(Map<String, Object> optimizer, String format) {
        var slots = new LinkedHashMap<String, Object>();
        boolean coarse = !format.endsWith("16");
        for (var recipe : Training.recipes(optimizer)) {
            recipe.slots().stream().filter(slot -> coarse && slot.fine() != null).forEach(slot -> slots.put(slot.name(), "f32"));
        }
        var state = Map.of("format", format, "min_size", 64, "slots", slots, "seed", 5);
        var described = new LinkedHashMap<>(optimizer);
        described.put("state", state);
        return described;
    }

    /// A session that takes up another's state goes on as that does, bit for bit; a third that starts again repeats it all.
    @ParameterizedTest
    @MethodSource("optimizers")
    void goesOnElsewhereAndRepeats(Map<String, Object> optimizer) {
        try (var first = Training.of(TENSORS, optimizer);
                var second = Training.of(TENSORS, optimizer);
                var third = Training.of(TENSORS, optimizer)) {
            steps(first, 2);
            second.resumeFrom(first);
            steps(first, 2);
            steps(second, 2);
            assertThat(second.bits()).isEqualTo(first.bits());
            steps(third, 4);
            assertThat(third.bits()).isEqualTo(first.bits());
            for (var part : first.stepper().parameters()) {
                for (float value : Values.floats(part.array())) {
                    assertThat(value).as(part.key()).isFinite();
                }
            }
        }
    }

    private static void steps(Training training, int rounds) {
        for (int round = 0; round < rounds; round++) {
            training.step();
            training.step(List.of("odd", "kernel", "small"));
        }
    }

    static Stream<Map<String, Object>> randomOrInBlocks() {
        return optimizers().filter(optimizer -> List.of("bf16", "int8").contains(format(optimizer)));
    }

    private static Object format(Map<String, Object> optimizer) {
        return ((Map<?, ?>) optimizer.get("state")).get("format");
    }

    /// Groups are like sessions of their own, also in what is random.
    @ParameterizedTest
    @MethodSource("randomOrInBlocks")
    void groupsMoveNothing(Map<String, Object> optimizer) {
        if (Training.recipes(optimizer).stream().anyMatch(Recipe::joinsTensors)) {
            return;
        }
        var alike = new ArrayList<Map<String, Object>>(List.of(Map.of("match", "odd"), Map.of("match", "none")));
        var blueprint = Training.blueprint(TENSORS, optimizer, alike, null, null);
        try (var plain = Training.of(TENSORS, optimizer);
                var grouped = new Training(new dev.stepd.device.cpu.CpuDevice(1L << 28, 2), TENSORS, blueprint)) {
            steps(plain, 2);
            steps(grouped, 2);
            for (var tensor : TENSORS) {
                assertThat(grouped.bits(tensor.name())).as(tensor.name()).isEqualTo(plain.bits(tensor.name()));
            }
        }
    }
}
