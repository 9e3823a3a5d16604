package dev.stepd.demo;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.zip.GZIPInputStream;

/// The optical digits of UCI, four fifths to learn from and one to test on; `digits.md` beside the data says where they
/// come from.
record Digits(Examples training, Examples test) {
    private static final float PIXEL_MAX = 16;

    /// The digits, divided as a seed says.
    static Digits load(long seed) {
        var all = examples(rows());
        var order = Order.shuffled(all.count(), seed);
        int training = all.count() * 4 / 5;
        return new Digits(
                all.at(Arrays.copyOf(order, training)), all.at(Arrays.copyOfRange(order, training, order.length)));
    }

    private static Examples examples(List<String> rows) {
        var pixels = new float[rows.size() * Examples.PIXELS];
        var labels = new int[rows.size()];
        for (int row = 0; row < labels.length; row++) {
            var values = rows.get(row).split(",");
            for (int at = 0; at < Examples.PIXELS; at++) {
                pixels[row * Examples.PIXELS + at] = Integer.parseInt(values[at]) / PIXEL_MAX;
            }
            labels[row] = Integer.parseInt(values[Examples.PIXELS]);
        }
        return new Examples(pixels, labels);
    }

    private static List<String> rows() {
        try (var packed = Objects.requireNonNull(Digits.class.getResourceAsStream("digits.csv.gz"), "digits.csv.gz");
                var text = new InputStreamReader(new GZIPInputStream(packed), StandardCharsets.US_ASCII)) {
            return new BufferedReader(text).lines().toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
