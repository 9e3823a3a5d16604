package dev.stepd.rule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class SettingsTest {
    @Test
    void nullTurnsAnOptionOff() {
        var settings = read("adamw", "weight_decay", null);
        assertThat(settings.on("weight_decay")).isFalse();
        assertThat(settings.resolved()).containsEntry("weight_decay", 0.0);
    }

    @Test
    void nullIsNoNumber() {
        assertThatThrownBy(() -> read("adamw", "lr", null))
                .isInstanceOfSatisfying(ServiceException.class, e -> assertThat(e.code()).isEqualTo(ErrorCode.INVALID_VALUE))
                .hasMessageContaining("optimizer.lr is missing");
    }

    private static Settings read(String optimizer, String field, Object value) {
        var description = new HashMap<String, Object>(Map.of("name", optimizer));
        description.put(field, value);
        return Settings.read(description, List.of(), null);
    }
}
