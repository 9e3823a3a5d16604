package dev.stepd.demo;

/// Images with the digit each shows.
final class Examples {
    static final int PIXELS = 64;

    private final float[] pixels;
    private final int[] labels;

    /// @param pixels `[labels.length, 64]`, owned by this object from here on
    /// @param labels 0 to 9, owned likewise
    Examples(float[] pixels, int[] labels) {
        if (pixels.length != labels.length * PIXELS) {
            throw new IllegalStateException(pixels.length + " pixels for " + labels.length + " images");
        }
        this.pixels = pixels;
        this.labels = labels;
    }

    int count() {
        return labels.length;
    }

    /// From 0 to 1.
    float pixel(int image, int at) {
        return pixels[image * PIXELS + at];
    }

    int label(int image) {
        return labels[image];
    }

    /// The images at some places, in that order.
    Examples at(int[] places) {
        var chosen = new float[places.length * PIXELS];
        var chosenLabels = new int[places.length];
        for (int i = 0; i < places.length; i++) {
            System.arraycopy(pixels, places[i] * PIXELS, chosen, i * PIXELS, PIXELS);
            chosenLabels[i] = labels[places[i]];
        }
        return new Examples(chosen, chosenLabels);
    }
}
