package dev.stepd.demo;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.Shape;
import java.awt.geom.Line2D;
import java.awt.geom.Rectangle2D;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import javax.imageio.ImageIO;

/// A white image to draw on, at twice its nominal size so that it stays sharp. Needs no screen, and where the machine
/// has no fonts, only the words are missing.
final class Canvas {
    private static final int SCALE = 2;
    private static final float[] DASHES = {6, 5};

    /// Where a text stands relative to its point.
    enum Align {
        LEFT,
        CENTRE,
        RIGHT
    }

    private final BufferedImage image;
    private final Graphics2D graphics;
    private final boolean hasFonts;

    static {
        System.setProperty("java.awt.headless", "true");
    }

    Canvas(int width, int height) {
        image = new BufferedImage(width * SCALE, height * SCALE, BufferedImage.TYPE_INT_RGB);
        graphics = image.createGraphics();
        graphics.scale(SCALE, SCALE);
        graphics.setRenderingHint(RenderingHints.KEY_ANTIALIASING, RenderingHints.VALUE_ANTIALIAS_ON);
        graphics.setRenderingHint(RenderingHints.KEY_STROKE_CONTROL, RenderingHints.VALUE_STROKE_PURE);
        graphics.setColor(Color.WHITE);
        graphics.fillRect(0, 0, width, height);
        hasFonts = findsFonts();
    }

    boolean hasFonts() {
        return hasFonts;
    }

    BufferedImage image() {
        return image;
    }

    void line(double x1, double y1, double x2, double y2, Color color) {
        stroke(new Line2D.Double(x1, y1, x2, y2), color, 1);
    }

    void dashedLine(double x1, double y1, double x2, double y2, Color color) {
        graphics.setColor(color);
        graphics.setStroke(new BasicStroke(1.2f, BasicStroke.CAP_BUTT, BasicStroke.JOIN_ROUND, 1, DASHES, 0));
        graphics.draw(new Line2D.Double(x1, y1, x2, y2));
    }

    void stroke(Shape shape, Color color, float width) {
        graphics.setColor(color);
        graphics.setStroke(new BasicStroke(width, BasicStroke.CAP_ROUND, BasicStroke.JOIN_ROUND));
        graphics.draw(shape);
    }

    void fill(Shape shape, Color color) {
        graphics.setColor(color);
        graphics.fill(shape);
    }

    /// What is drawn from now on shows inside an area only.
    void clip(Rectangle2D area) {
        graphics.setClip(area);
    }

    void unclip() {
        graphics.setClip(null);
    }

    /// @param y of the base line
    void text(String text, double x, double y, Align align, Font font, Color color) {
        if (!hasFonts) {
            return;
        }
        graphics.setFont(font);
        graphics.setColor(color);
        double width = graphics.getFontMetrics().getStringBounds(text, graphics).getWidth();
        double left = switch (align) {
            case LEFT -> x;
            case CENTRE -> x - width / 2;
            case RIGHT -> x - width;
        };
        graphics.drawString(text, (float) left, (float) y);
    }

    void write(Path file) throws IOException {
        try (var out = Files.newOutputStream(file)) {
            ImageIO.write(image, "png", out);
        }
    }

    /// A machine without fonts shows it only when they are used, and each JDK in another way.
    private boolean findsFonts() {
        try {
            graphics.getFontMetrics(new Font(Font.SANS_SERIF, Font.PLAIN, 12)).stringWidth("0");
            return true;
        } catch (RuntimeException | LinkageError | InternalError e) {
            return false;
        }
    }
}
