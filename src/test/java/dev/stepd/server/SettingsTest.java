package dev.stepd.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.micronaut.context.ApplicationContext;
import io.micronaut.context.env.PropertySource;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/// Every setting has one default and one name in each of its three forms.
class SettingsTest {
    private static final Map<String, String> GIVEN = new TreeMap<>(Map.of(
            "host", "127.0.0.2", "port", "9000", "allow-remote", "true", "data", "elsewhere", "memory", "3GB",
            "bytes-in-flight", "5MB", "threads", "3", "header-limit", "6KB", "session-limit", "7", "drain-timeout", "8s"));

    static {
        GIVEN.putAll(Map.of("cuda", "off", "cuda-memory", "2GB", "pinned-memory", "1MB", "cuda-cache", "kernels", "journal-segment", "9MB",
                "event-stream-limit", "11", "store-timeout", "9s", "idle-after", "7s"));
    }

    private static final ServerSettings EXPECTED = new ServerSettings(
            "127.0.0.2", 9000, true, Path.of("elsewhere"), 3L << 30, 5L << 20, 3, 6L << 10, 7, Duration.ofSeconds(7), 11, "off", 2L << 30,
            1L << 20, Path.of("kernels"),
            9 << 20, Duration.ofSeconds(8), Duration.ofSeconds(9));

    @Test
    void defaults() {
        try (var context = ApplicationContext.run()) {
            assertThat(context.getBean(ServerSettings.class)).isEqualTo(new ServerSettings(
                    "127.0.0.1", 8080, false, Path.of("data"), null, null, null, 8 << 20, 10_000,
                    Duration.ofSeconds(10), 1000, "auto", null, null, null, 64 << 20, Duration.ofSeconds(30), Duration.ofSeconds(60)));
        }
    }

    @Test
    void keysOfFilesMapToEverySetting() {
        var keys = GIVEN.entrySet().stream().collect(Collectors.toMap(e -> "stepd." + e.getKey(), e -> (Object) e.getValue()));
        try (var context = ApplicationContext.run(keys)) {
            assertThat(context.getBean(ServerSettings.class)).isEqualTo(EXPECTED);
        }
    }

    @Test
    void flagsMapToEverySetting() {
        var flags = GIVEN.entrySet().stream().map(e -> "--" + e.getKey() + "=" + e.getValue()).toList();
        try (var context = ApplicationContext.run(Arguments.settings(flags))) {
            assertThat(context.getBean(ServerSettings.class)).isEqualTo(EXPECTED);
        }
    }

    @Test
    void variablesMapToEverySetting() {
        var variables = GIVEN.entrySet().stream().collect(Collectors.toMap(
                e -> "STEPD_" + e.getKey().toUpperCase().replace('-', '_'), e -> (Object) e.getValue()));
        var source = PropertySource.of("variables", variables, PropertySource.PropertyConvention.ENVIRONMENT_VARIABLE);
        try (var context = ApplicationContext.builder().propertySources(source).start()) {
            assertThat(context.getBean(ServerSettings.class)).isEqualTo(EXPECTED);
        }
    }

    @Test
    void memoryIsThreeQuartersOfTheMachineUnlessSaid() {
        var settings = new ServerSettings(
                "h", 0, false, Path.of("d"), null, null, null, 1, 1, Duration.ZERO, 1, "auto", null, null, null, 64 << 20, Duration.ZERO, Duration.ZERO);
        assertThat(settings.memoryBytes()).isGreaterThan(1 << 20);
        assertThat(settings.bytesInFlightMax()).isEqualTo(settings.memoryBytes() / 4);
    }

    @Test
    void cudaSettingsDependOnTheOthersUnlessSaid() {
        var settings = new ServerSettings(
                "h", 0, false, Path.of("d"), null, null, null, 1, 1, Duration.ZERO, 1, "AUTO", null, null, null, 64 << 20, Duration.ZERO, Duration.ZERO);
        assertThat(settings.usesCuda()).isTrue();
        assertThat(settings.cudaCacheFolder()).isEqualTo(Path.of("d", "cuda-cache"));
        assertThat(settings.memoryBesideCudaBytes() + settings.pinnedBytes()).isEqualTo(settings.memoryBytes());
        assertThat(EXPECTED.usesCuda()).isFalse();
        assertThat(EXPECTED.memoryBesideCudaBytes()).isEqualTo(3L << 30);
    }

    @Test
    void aVariableOfCudaAloneLeavesTheOthersAtTheirDefaults() {
        var source = PropertySource.of("variables", Map.of("STEPD_CUDA_MEMORY", "2GB"), PropertySource.PropertyConvention.ENVIRONMENT_VARIABLE);
        try (var context = ApplicationContext.builder().propertySources(source).start()) {
            var settings = context.getBean(ServerSettings.class);
            assertThat(settings.cuda()).isEqualTo("auto");
            assertThat(settings.cudaMemory()).isEqualTo(2L << 30);
            Arguments.check(context);
        }
    }

    @Test
    void cudaIsAutoOrOff() {
        assertThatThrownBy(() -> Server.start(Map.of("stepd.cuda", "on")))
                .isInstanceOf(UsageException.class).hasMessage("stepd.cuda is \"on\", expected auto or off");
    }

    @Test
    void listeningBeyondLoopbackMustBeMeant() {
        assertThatThrownBy(() -> Server.start(Map.of("stepd.host", "0.0.0.0", "stepd.port", "0", "stepd.data", "target/remote")))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("--host 0.0.0.0").hasMessageContaining("--allow-remote");
    }

    @Test
    void valueThatIsNoneIsNamed() {
        assertThatThrownBy(() -> Server.start(Map.of("stepd.port", "many")))
                .isInstanceOf(UsageException.class).hasMessageContaining("port").hasMessageContaining("many");
    }

    @Test
    void flagThatDoesNotExistIsNamedWithTheNearest() {
        assertThatThrownBy(() -> Arguments.settings(List.of("--prot", "1")))
                .isInstanceOf(UsageException.class).hasMessageContaining("--prot").hasMessageContaining("\"--port\"");
    }

    @Test
    void flagWithoutItsValueIsNamed() {
        assertThatThrownBy(() -> Arguments.settings(List.of("--port")))
                .isInstanceOf(UsageException.class).hasMessageContaining("--port N");
    }

    private static final Map<String, String> STORE = Map.of(
            "db", "jdbc:postgresql://host/name", "db-user", "us", "db-password", "s3cret", "db-lease", "9s");

    private static final StoreSettings EXPECTED_STORE =
            new StoreSettings("jdbc:postgresql://host/name", "us", "s3cret", Duration.ofSeconds(9));

    @Test
    void theFolderIsTheDatabaseUnlessSaid() {
        try (var context = ApplicationContext.run()) {
            var settings = context.getBean(StoreSettings.class);
            assertThat(settings).isEqualTo(new StoreSettings(null, null, null, Duration.ofSeconds(30)));
            assertThat(settings.isShared()).isFalse();
        }
    }

    @Test
    void flagsVariablesAndKeysMapToTheDatabase() {
        var flags = STORE.entrySet().stream().map(e -> "--" + e.getKey() + "=" + e.getValue()).toList();
        try (var context = ApplicationContext.run(Arguments.settings(flags))) {
            assertThat(context.getBean(StoreSettings.class)).isEqualTo(EXPECTED_STORE);
            Arguments.check(context);
        }
        var variables = STORE.entrySet().stream().collect(Collectors.toMap(
                e -> "STEPD_" + e.getKey().toUpperCase().replace('-', '_'), e -> (Object) e.getValue()));
        var source = PropertySource.of("variables", variables, PropertySource.PropertyConvention.ENVIRONMENT_VARIABLE);
        try (var context = ApplicationContext.builder().propertySources(source).start()) {
            assertThat(context.getBean(StoreSettings.class)).isEqualTo(EXPECTED_STORE);
            Arguments.check(context);
        }
    }

    @Test
    void aVariableOfTheDatabaseAloneLeavesTheOthersAbsent() {
        var source = PropertySource.of("variables", Map.of("STEPD_DB_PASSWORD", "s3cret"), PropertySource.PropertyConvention.ENVIRONMENT_VARIABLE);
        try (var context = ApplicationContext.builder().propertySources(source).start()) {
            Arguments.check(context);
            assertThatThrownBy(context.getBean(StoreSettings.class)::isShared)
                    .isInstanceOf(UsageException.class).hasMessageContaining("stepd.db-password").hasMessageContaining("stepd.db ");
        }
    }

    @Test
    void aPasswordIsNowhereShown() {
        assertThat(EXPECTED_STORE.toString()).contains("host/name").doesNotContain("s3cret");
        for (var url : List.of("jdbc:postgresql://host/name?password=s3cret", "jdbc:postgresql://us:s3cret@host/name",
                "jdbc:postgresql://host/name?ssl=true&sslPassword=s3cret", "postgres://us:s3cret@host/name", "jdbc:h2:s3cret")) {
            assertThatThrownBy(() -> Server.start(Map.of("stepd.db", url)))
                    .isInstanceOf(UsageException.class)
                    .hasMessage("stepd.db is not as it should be, expected jdbc:postgresql://host/name, without user or password");
        }
        assertThatThrownBy(() -> Server.start(Map.of("stepd.db", "jdbc:postgresql://127.0.0.1:1/name", "stepd.db-password", "s3cret", "stepd.port", "0")))
                .isInstanceOf(UsageException.class).hasMessageContaining("127.0.0.1:1").message().doesNotContain("s3cret");
    }

    @Test
    void helpNamesEverySetting() {
        assertThat(STORE.keySet()).allSatisfy(key -> assertThat(Arguments.help()).contains("--" + key + " "));
        assertThat(GIVEN.keySet()).allSatisfy(key -> assertThat(Arguments.help()).contains("--" + key + " "));
    }
}
