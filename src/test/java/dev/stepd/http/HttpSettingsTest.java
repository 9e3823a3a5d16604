package dev.stepd.http;

import static org.assertj.core.api.Assertions.assertThat;

import io.micronaut.context.ApplicationContext;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Test;

class HttpSettingsTest {
    @Test
    void defaults() {
        try (var context = ApplicationContext.run()) {
            assertThat(context.getBean(HttpSettings.class)).isEqualTo(new HttpSettings(
                    16 << 20, Duration.ofSeconds(30), Duration.ofSeconds(15)));
        }
    }

    @Test
    void keysMapToEverySetting() {
        try (var context = ApplicationContext.run(Map.of(
                "stepd.json-limit", "2MB", "stepd.body-idle-timeout", "7s", "stepd.event-keep-alive", "3s"))) {
            assertThat(context.getBean(HttpSettings.class)).isEqualTo(new HttpSettings(
                    2 << 20, Duration.ofSeconds(7), Duration.ofSeconds(3)));
        }
    }
}
