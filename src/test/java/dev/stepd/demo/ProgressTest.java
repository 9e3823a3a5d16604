package dev.stepd.demo;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.demo.Trainer.Standing;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;

class ProgressTest {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private final PrintStream out = new PrintStream(bytes, true, StandardCharsets.US_ASCII);

    @Test
    void tellsEachTenthOnceAndNothingBetween() {
        var progress = Progress.ofLines(out);
        for (long step : new long[] {0, 1, 2, 9, 10, 11, 5, 10, 100}) {
            progress.show(List.of(new Standing("sgd", step, 0.5f)), 100);
        }
        assertThat(lines()).containsExactly(
                "  sgd 0/100 loss -", "  sgd 10/100 loss 0.5000", "  sgd 100/100 loss 0.5000");
    }

    @Test
    void barsMoveInPlaceBelowWhatIsSaid() {
        var progress = Progress.ofBars(out);
        progress.show(List.of(new Standing("sgd", 0, Float.NaN)), 100);
        progress.say("server killed");
        progress.show(List.of(new Standing("sgd", 50, 0.25f)), 100);

        var nothing = "  sgd    ........................................    0/100  loss -";
        var half = "  sgd    ####################....................   50/100  loss 0.2500";
        var up = "\033[F\033[J";
        assertThat(lines()).containsExactly(nothing, up + "server killed", nothing, up + half);
    }

    private List<String> lines() {
        return bytes.toString(StandardCharsets.US_ASCII).lines().toList();
    }
}
