package dev.stepd.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CompilerLogTest {
    private static final String TEXT =
            IntStream.rangeClosed(1, 100).mapToObj(i -> "line " + i).collect(Collectors.joining("\n"));

    @ParameterizedTest
    @ValueSource(strings = {
        "adamw.cu(42): error: identifier \"x\" is undefined",
        "adamw.cu(42): error #20: identifier \"x\" is undefined",
        "adamw.cu(42): catastrophic error: cannot open source file",
        "adamw.cu:42:7: error: 'x' was not declared in this scope",
        "adamw.cu:42:7: fatal error: nothing.h: No such file or directory",
        "adamw.cu(3): warning #177-D: variable \"y\" was declared but never referenced\n\nadamw.cu(42): error: no"
    })
    void showsTheLinesAroundTheFirstError(String log) {
        assertThat(CompilerLog.explain(log, TEXT).lines().skip(log.lines().count()).toList())
                .hasSize(13).startsWith("  36  line 36").contains("> 42  line 42").endsWith("  48  line 48");
    }

    @Test
    void keepsToTheText() {
        assertThat(CompilerLog.explain("a.cu(1): error: x", "only")).isEqualTo("a.cu(1): error: x\n> 1  only\n");
        assertThat(CompilerLog.explain("a.cu(9): error: x", "only")).isEqualTo("a.cu(9): error: x\n");
        assertThat(CompilerLog.explain("nvrtc: error: invalid value", "only")).isEqualTo("nvrtc: error: invalid value\n");
    }

    @Test
    void cutsLongLogs() {
        assertThat(CompilerLog.explain(TEXT, "").lines()).hasSize(61).last().isEqualTo("... 40 more lines");
    }
}
