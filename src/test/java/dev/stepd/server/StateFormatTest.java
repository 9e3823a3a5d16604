package dev.stepd.server;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.rule.Entry;
import java.util.Map;
import org.junit.jupiter.api.Test;

class StateFormatTest {
    @Test
    void countsWhatSlotsAndScalesTake() {
        assertThat(StateFormat.bytesByFormat(step("lion"))).isEqualTo(Map.of(
                "f32", 4.0, "bf16", 2.0, "f16", 2.0, "int8", 1 + 4.0 / 256, "fp8", 1 + 4.0 / 256, "int4", 0.5 + 4.0 / 128));
        assertThat(StateFormat.bytesByFormat(step("adamw"))).containsEntry("int8", 2 * (1 + 4.0 / 256));
    }

    @Test
    void countsNothingForSlotsOfOneValue() {
        assertThat(StateFormat.bytesByFormat(step("nadam"))).isEqualTo(StateFormat.bytesByFormat(step("adamw")));
        assertThat(StateFormat.bytesByFormat(step("nero"))).allSatisfy((_, bytes) -> assertThat(bytes).isZero());
    }

    private static Entry.Step step(String name) {
        return Entry.all().stream().filter(e -> e.spec().name().equals(name)).findFirst().orElseThrow().steps().getFirst();
    }
}
