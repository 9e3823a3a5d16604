package dev.stepd.server;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.rule.Entry;
import java.util.Map;
import org.junit.jupiter.api.Test;

class FormatSizeTest {
    @Test
    void countsWhatSlotsAndScalesTake() {
        assertThat(bytes("lion")).isEqualTo(Map.of(
                "f32", 4.0, "bf16", 2.0, "f16", 2.0, "int8", 1 + 4.0 / 256, "fp8", 1 + 4.0 / 256, "int4", 0.5 + 4.0 / 128));
        assertThat(bytes("adamw")).containsEntry("int8", 2 * (1 + 4.0 / 256));
    }

    @Test
    void countsNothingForSlotsOfOneValue() {
        assertThat(bytes("nadam")).isEqualTo(bytes("adamw"));
        assertThat(bytes("nero")).allSatisfy((_, bytes) -> assertThat(bytes).isZero());
    }

    @Test
    void presetsOfAFormatHaveThatAlone() {
        assertThat(bytes("adamw8bit")).isEqualTo(Map.of("int8", 2 * (1 + 4.0 / 256)));
    }

    private static Map<String, Double> bytes(String name) {
        var entry = Entry.all().stream().filter(e -> e.spec().name().equals(name)).findFirst().orElseThrow();
        return FormatSize.bytesByFormat(entry, entry.steps().getFirst());
    }
}
