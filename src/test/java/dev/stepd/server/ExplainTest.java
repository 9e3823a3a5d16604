package dev.stepd.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;

/// What `stepd explain` prints, and refuses.
class ExplainTest {
    private static String explained(String... words) {
        var bytes = new ByteArrayOutputStream();
        Explain.run(List.of(words), new PrintStream(bytes, true, StandardCharsets.UTF_8));
        return bytes.toString(StandardCharsets.UTF_8);
    }

    @Test
    void withoutAFlagShowsTheWayToTheProcessor() {
        assertThat(explained("lion")).contains("== equations", "== rewritten", "== host values and stages", "on the cpu")
                .doesNotContain("__global__");
    }

    @Test
    void ofOtherFlagsShowsThatAlone() {
        assertThat(explained("adamw", "--interpreted")).contains("== rewritten").doesNotContain("on the cpu", "__global__");
        assertThat(explained("adamw", "--cpu")).contains("on the cpu").doesNotContain("== rewritten", "__global__");
        assertThat(explained("adamw", "--cuda"))
                .contains("extern \"C\" __global__ void __launch_bounds__(THREADS) pass0(", "__fsqrt_rn(")
                .doesNotContain("== rewritten", "on the cpu");
    }

    @Test
    void keepsSlotsInTheFormatAskedFor() {
        assertThat(explained("adamw", "--format", "int8", "--cuda"))
                .contains("unsigned char *exp_avg;", "dynamic_signed_256", "largest_", "tiles0");
    }

    @Test
    void refusesWhatItDoesNotKnow() {
        assertThatThrownBy(() -> explained("adamw", "--gpu")).isInstanceOf(UsageException.class).hasMessageContaining("--cuda");
        assertThatThrownBy(() -> explained("adamw", "--cpu", "--cuda")).isInstanceOf(UsageException.class);
        assertThatThrownBy(() -> explained("adamw", "--format")).hasMessageContaining("--format needs a name");
        assertThatThrownBy(() -> explained("adamw", "--format", "int9")).hasMessageContaining("int9").hasMessageContaining("int8");
        assertThatThrownBy(() -> explained("adamv")).hasMessageContaining("adamw");
    }
}
