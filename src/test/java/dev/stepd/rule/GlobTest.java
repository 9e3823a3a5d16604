package dev.stepd.rule;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

class GlobTest {
    private static final String[][] MATCHES = {
            {"*.bias", "layer.0.bias"},
            {"*", "anything"},
            {"*", ""},
            {"", ""},
            {"layer.?.weight", "layer.3.weight"},
            {"layer.?.weight", "layer.😀.weight"},
            {"layer.[0-3].*", "layer.2.weight"},
            {"layer.[!0-3].*", "layer.7.weight"},
            {"layer.[ac-]", "layer.-"},
            {"layer.[ac-]", "layer.c"},
            {"[*]", "*"},
            {"[?]x", "?x"},
            {"[[]x", "[x"},
            {"[]]x", "]x"},
            {"[]-a]x", "^x"},
            {"[!]a]x", "bx"},
            {"[!]", "[!]"},
            {"[abc", "[abc"},
            {"a.b", "a.b"},
            {"**.bias", "x.bias"},
            {"*a*b*c", "xaxbxc"},
            {"[😀-😂]", "😁"},
            {"\\Qa", "\\Qa"},
            {"a+(b|c)", "a+(b|c)"}
    };

    private static final String[][] MISSES = {
            {"*.bias", "layer.0.biases"},
            {"*.bias", "bias"},
            {"layer.?.weight", "layer.12.weight"},
            {"layer.?.weight", "layer..weight"},
            {"layer.[0-3].*", "layer.4.weight"},
            {"layer.[!0-3].*", "layer.0.weight"},
            {"[!]a]x", "]x"},
            {"[z-a]", "m"},
            {"a.b", "axb"},
            {"Bias", "bias"},
            {"", "x"},
            {"*a*b*c", "xaxcxb"},
            {"?", ""}
    };

    @ParameterizedTest(name = "{0} matches {1}")
    @FieldSource("MATCHES")
    void matches(String glob, String name) {
        assertThat(Glob.of(glob).matches(name)).isTrue();
    }

    @ParameterizedTest(name = "{0} does not match {1}")
    @FieldSource("MISSES")
    void doesNotMatch(String glob, String name) {
        assertThat(Glob.of(glob).matches(name)).isFalse();
    }

    /// A pattern of a request cannot keep the server busy.
    @Test
    void isFastOnAnyPattern() {
        Assertions.assertTimeoutPreemptively(Duration.ofSeconds(5), () -> {
            assertThat(Glob.of("*a".repeat(200) + "*b").matches("a".repeat(5000))).isFalse();
        });
    }

    @Test
    void aLineBreakIsACharacter() {
        assertThat(Glob.of("a*b?c").matches("a\nb\nc")).isTrue();
    }
}
