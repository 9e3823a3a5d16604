package dev.stepd.server;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.rule.Entry;
import java.util.Map;
import org.junit.jupiter.api.Test;

class FormatBytesTest {
    @Test
    void countsWhatSlotsAndScalesTake() {
        assertThat(FormatBytes.bytesByFormat(step("lion"))).isEqualTo(Map.of(
                "f32", 4.0, "bf16", 2.0, "f16", 2.0, "int8", 1 + 4.0 / 256, "fp8", 1 + 4.0 / 256, "int4", 0.5 + 4.0 / 128));
        assertThat(FormatBytes.bytesByFormat(step("adamw"))).containsEntry("int8", 2 * (1 + 4.0 / 256));
    }

    @Test
    void countsNothingForSlotsOfOneValue() {
        assertThat(FormatBytes.bytesByFormat(step("nadam"))).isEqualTo(FormatBytes.bytesByFormat(step("adamw")));
        assertThat(FormatBytes.bytesByFormat(step("nero"))).allSatisfy((_, bytes) -> assertThat(bytes).isZero());
    }

    private static Entry.Step step(String name) {
        return Entry.all().stream().filter(e -> e.spec().name().equals(name)).findFirst().orElseThrow().steps().getFirst();
    }
}
