package dev.stepd.demo;

import static org.assertj.core.api.Assertions.assertThat;

import java.awt.Color;
import java.awt.image.BufferedImage;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;
import java.util.stream.IntStream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LossPlotTest {
    private static final Color LOST = new Color(0xF3E7D3);
    private static final List<Color> CURVES = List.of(new Color(0x0072B2), new Color(0xD55E00), new Color(0x009E73));

    @Test
    void showsEveryCurveAndTheCrash(@TempDir Path folder) throws Exception {
        var file = folder.resolve("plot.png");
        new LossPlot(List.of(trained("sgd", 1, OptionalLong.of(100)), trained("adamw", 2, OptionalLong.of(90)),
                trained("lion", 4, OptionalLong.of(100))), 10).write(file);

        var image = ImageIO.read(file.toFile());
        assertThat(image.getWidth()).isEqualTo(2 * LossPlot.WIDTH);
        assertThat(image.getHeight()).isEqualTo(2 * LossPlot.HEIGHT);
        assertThat(CURVES).allSatisfy(color -> assertThat(count(image, color)).isGreaterThan(5000));
        assertThat(count(image, LOST)).isGreaterThan(10_000);
    }

    @Test
    void marksNothingWhereNothingCrashed() {
        var image = new LossPlot(List.of(trained("sgd", 1, OptionalLong.empty())), 10).image();
        assertThat(count(image, LOST)).isZero();
        assertThat(count(image, CURVES.getFirst())).isGreaterThan(5000);
    }

    @Test
    void bearsAFlatLossOfOneStep() {
        var one = new Trained("sgd", 0.1, OptionalLong.empty(), 0, List.of(0f), List.of(), "");
        assertThat(new LossPlot(List.of(one), 10).image().getWidth()).isEqualTo(2 * LossPlot.WIDTH);
    }

    @Test
    void ticksAreRoundNumbers() {
        assertThat(new Axis(0, 690, 0, 100, false).ticks())
                .containsExactly(0.0, 100.0, 200.0, 300.0, 400.0, 500.0, 600.0);
        assertThat(new Axis(0, 46, 0, 100, false).ticks()).containsExactly(0.0, 10.0, 20.0, 30.0, 40.0);
        assertThat(new Axis(0.004, 3, 0, 100, true).ticks())
                .containsExactly(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0);
        assertThat(List.of(2e-4, 0.5, 0.0, 5.0, 1000.0)).extracting(Axis::label)
                .containsExactly("0.0002", "0.5", "0", "5", "1,000");
    }

    private static Trained trained(String name, int speed, OptionalLong restored) {
        var losses = IntStream.range(0, 300).mapToObj(step -> (float) (2.3 / (1 + speed * step / 10.0))).toList();
        return new Trained(name, 0.97, restored, restored.isPresent() ? 50 : 0, losses, List.of(), "");
    }

    private static long count(BufferedImage image, Color color) {
        return IntStream.range(0, image.getWidth() * image.getHeight())
                .filter(at -> image.getRGB(at % image.getWidth(), at / image.getWidth()) == color.getRGB())
                .count();
    }
}
