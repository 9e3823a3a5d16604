package dev.stepd.golden;

import static org.assertj.core.api.Assertions.assertThat;

/// The golden files' own rules of how close is close enough.
final class Closeness {
    private Closeness() {}

    /// Every element: `|mine - golden| <= atol + rtol * |golden|`, or the largest `|golden|` of the tensor.
    static void checkParameter(GoldenFile file, String tensor, int t, float[] mine) {
        checkParameter(file, tensor, t, mine, 0);
    }

    /// @param roundings how far the reference itself is from what it states, relative to the parameter
    static void checkParameter(GoldenFile file, String tensor, int t, float[] mine, double roundings) {
        var golden = file.get("param/" + tensor + "/" + t);
        assertThat(mine).hasSameSizeAs(golden);
        double largest = largest(golden);
        for (int i = 0; i < mine.length; i++) {
            double size = file.boundsWholeTensors() ? largest : Math.abs(golden[i]);
            double bound = file.tolerance("atol") + (file.tolerance("rtol") + roundings) * size;
            assertThat(Math.abs((double) mine[i] - golden[i]))
                    .as("%s: %s[%d] after step %d is %s, golden %s", file, tensor, i, t, mine[i], golden[i])
                    .isLessThanOrEqualTo(bound);
        }
    }

    /// The largest difference against the largest magnitude of the state.
    static void checkState(GoldenFile file, String key, float[] mine) {
        var golden = file.get(key);
        assertThat(mine).as("%s: %s", file, key).hasSameSizeAs(golden);
        double apart = 0;
        for (int i = 0; i < mine.length; i++) {
            apart = Math.max(apart, Math.abs((double) mine[i] - golden[i]));
        }
        assertThat(apart).as("%s: %s", file, key).isLessThanOrEqualTo(file.tolerance("state_rtol") * largest(golden));
    }

    private static double largest(float[] values) {
        double largest = 0;
        for (float value : values) {
            largest = Math.max(largest, Math.abs(value));
        }
        return largest;
    }
}
