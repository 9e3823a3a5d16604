package dev.stepd.server;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/// A variable that the files of containers set is a setting: a misspelt one would be ignored.
class ContainerSettingsTest {
    private static final Pattern VARIABLE = Pattern.compile("\\bSTEPD_[A-Z_]+");

    @Test
    void everyVariableIsASetting() throws IOException {
        var names = new TreeSet<String>();
        for (var folder : new String[] {"docker", "k8s"}) {
            try (var files = Files.walk(Path.of(folder))) {
                for (var file : files.filter(Files::isRegularFile).toList()) {
                    VARIABLE.matcher(Files.readString(file)).results().map(MatchResult::group).forEach(names::add);
                }
            }
        }
        assertThat(names).contains("STEPD_ALLOW_REMOTE", "STEPD_DRAIN_TIMEOUT").allSatisfy(name -> assertThat(Arguments.help())
                .containsPattern("(?m)^ +--" + name.substring("STEPD_".length()).toLowerCase(Locale.ROOT).replace('_', '-') + "\\b"));
    }
}
