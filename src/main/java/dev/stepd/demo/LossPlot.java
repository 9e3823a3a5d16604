package dev.stepd.demo;

import dev.stepd.demo.Canvas.Align;
import java.awt.Color;
import java.awt.Font;
import java.awt.geom.Ellipse2D;
import java.awt.geom.Path2D;
import java.awt.geom.Rectangle2D;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;

/// The losses of a training over its steps, one curve an optimizer, with the steps that were lost to a crash marked.
final class LossPlot {
    static final int WIDTH = 1000;
    static final int HEIGHT = 600;
    private static final Rectangle2D AREA = new Rectangle2D.Double(80, 104, 880, 420);
    private static final double LOSS_MIN = 1e-4;

    /// Told apart by those who do not see every colour (Okabe, Ito, 2008).
    private static final List<Color> COLORS =
            List.of(new Color(0x0072B2), new Color(0xD55E00), new Color(0x009E73), new Color(0xCC79A7));
    private static final Color INK = new Color(0x222222);
    private static final Color GREY = new Color(0x666666);
    private static final Color GRID = new Color(0xE4E4E4);
    private static final Color LOST = new Color(0xF3E7D3);
    private static final Font TITLE = new Font(Font.SANS_SERIF, Font.BOLD, 20);
    private static final Font WORDS = new Font(Font.SANS_SERIF, Font.PLAIN, 14);
    private static final Font LEGEND = new Font(Font.SANS_SERIF, Font.BOLD, 14);

    private final Canvas canvas = new Canvas(WIDTH, HEIGHT);
    private final List<Trained> results;
    private final int window;
    private final Axis steps;
    private final Axis losses;

    /// @param window steps over which a curve is the mean
    LossPlot(List<Trained> results, int window) {
        this.results = results;
        this.window = window;
        double lowest = results.stream().flatMap(result -> smoothed(result.losses()).stream())
                .mapToDouble(loss -> loss).min().orElse(LOSS_MIN);
        double highest = results.stream().flatMap(result -> result.losses().stream())
                .mapToDouble(loss -> loss).max().orElse(1);
        long last = results.stream().mapToLong(Trained::steps).max().orElse(1);
        steps = new Axis(0, last, AREA.getMinX(), AREA.getMaxX(), false);
        losses = new Axis(Math.max(LOSS_MIN, lowest / 2), highest * 1.2, AREA.getMaxY(), AREA.getMinY(), true);
        draw();
    }

    BufferedImage image() {
        return canvas.image();
    }

    /// Whether there are words, too.
    boolean hasFonts() {
        return canvas.hasFonts();
    }

    void write(Path file) throws IOException {
        canvas.write(file);
    }

    private void draw() {
        canvas.text("Three optimizers learn handwritten digits over HTTP", AREA.getMinX(), 36, Align.LEFT, TITLE, INK);
        canvas.text("training loss, mean of " + window + " batches; faint: each batch",
                AREA.getMinX(), 60, Align.LEFT, WORDS, GREY);
        lost();
        grid();
        canvas.clip(AREA);
        for (int i = 0; i < results.size(); i++) {
            canvas.stroke(curve(results.get(i).losses()), faint(color(i)), 1);
        }
        for (int i = 0; i < results.size(); i++) {
            canvas.stroke(curve(smoothed(results.get(i).losses())), color(i), 2.5f);
        }
        canvas.unclip();
        for (int i = 0; i < results.size(); i++) {
            restored(results.get(i), color(i));
        }
        legend();
    }

    /// The steps that were taken, lost and taken again.
    private void lost() {
        var crashed = results.stream().filter(result -> result.restoredStep().isPresent()).toList();
        if (crashed.isEmpty()) {
            return;
        }
        double from = steps.pixel(crashed.stream().mapToLong(LossPlot::restoredStep).min().getAsLong());
        double to = steps.pixel(crashed.stream()
                .mapToLong(result -> restoredStep(result) + result.repeatedSteps()).max().getAsLong());
        canvas.fill(new Rectangle2D.Double(from, AREA.getMinY(), Math.max(1, to - from), AREA.getHeight()), LOST);
        canvas.dashedLine(to, AREA.getMinY() - 8, to, AREA.getMaxY(), GREY);
        canvas.text("server killed, restored from its snapshots (circles)",
                to, AREA.getMinY() - 14, Align.CENTRE, WORDS, INK);
    }

    private static long restoredStep(Trained result) {
        return result.restoredStep().getAsLong();
    }

    private void grid() {
        for (double tick : losses.ticks()) {
            double y = losses.pixel(tick);
            canvas.line(AREA.getMinX(), y, AREA.getMaxX(), y, GRID);
            canvas.text(Axis.label(tick), AREA.getMinX() - 10, y + 5, Align.RIGHT, WORDS, INK);
        }
        for (double tick : steps.ticks()) {
            double x = steps.pixel(tick);
            canvas.line(x, AREA.getMaxY(), x, AREA.getMaxY() + 6, INK);
            canvas.text(Axis.label(tick), x, AREA.getMaxY() + 24, Align.CENTRE, WORDS, INK);
        }
        canvas.line(AREA.getMinX(), AREA.getMaxY(), AREA.getMaxX(), AREA.getMaxY(), INK);
        canvas.text("step", AREA.getCenterX(), AREA.getMaxY() + 50, Align.CENTRE, WORDS, GREY);
    }

    private void restored(Trained result, Color color) {
        result.restoredStep().ifPresent(step -> {
            int at = (int) Math.max(0, step - 1);
            double x = steps.pixel(step);
            double y = losses.pixel(smoothed(result.losses()).get(at));
            var circle = new Ellipse2D.Double(x - 6, y - 6, 12, 12);
            canvas.fill(circle, Color.WHITE);
            canvas.stroke(circle, color, 2.5f);
        });
    }

    private void legend() {
        double x = AREA.getMaxX() - 270;
        double y = AREA.getMinY() + 28;
        double height = 26 * results.size() + 10;
        canvas.fill(new Rectangle2D.Double(x - 10, y - 22, AREA.getMaxX() - x + 10, height), Color.WHITE);
        for (int i = 0; i < results.size(); i++, y += 26) {
            var result = results.get(i);
            canvas.fill(new Rectangle2D.Double(x, y - 7, 26, 4), color(i));
            canvas.text(result.optimizer(), x + 36, y, Align.LEFT, LEGEND, color(i));
            canvas.text(String.format(Locale.ROOT, "%.1f %% of test digits", 100 * result.accuracy()),
                    AREA.getMaxX() - 4, y, Align.RIGHT, WORDS, INK);
        }
    }

    private Path2D curve(List<? extends Number> values) {
        var path = new Path2D.Double();
        for (int i = 0; i < values.size(); i++) {
            double x = steps.pixel(i + 1);
            double y = losses.pixel(Math.max(LOSS_MIN, values.get(i).doubleValue()));
            if (i == 0) {
                path.moveTo(x, y);
            } else {
                path.lineTo(x, y);
            }
        }
        return path;
    }

    /// Means of as many values as the window has, around each place; fewer at the ends.
    private List<Double> smoothed(List<Float> values) {
        int half = window / 2;
        return IntStream.range(0, values.size()).mapToObj(at -> {
            var around = values.subList(Math.max(0, at - half), Math.min(values.size(), at + half + 1));
            return around.stream().mapToDouble(value -> value).average().orElseThrow();
        }).toList();
    }

    private static Color color(int curve) {
        return COLORS.get(curve % COLORS.size());
    }

    private static Color faint(Color color) {
        return new Color(color.getRed(), color.getGreen(), color.getBlue(), 60);
    }
}
