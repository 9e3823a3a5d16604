package dev.stepd.golden;

import java.util.List;
import java.util.Optional;

/// What a replayed optimizer keeps, to be held to the states a golden file has recorded.
interface States {
    /// A slot of a tensor, or of the session where `tensor` is empty.
    Optional<float[]> slot(String name, String tensor);

    /// An average of a tensor's parameters.
    Optional<float[]> average(String name, String tensor);

    /// How a tensor moved in the last step.
    float[] delta(String tensor);

    /// The Euclidean norm of the last gradient.
    double gradNorm();

    /// Holds every recorded state of a step to what it stands for here.
    default void check(GoldenFile file, int t) {
        for (var key : file.states(t)) {
            var parts = key.split("/");
            if (parts[1].equals("total_norm") && !Double.valueOf(2).equals(file.description().get("norm_type"))) {
                continue; // no norm but the Euclidean is kept; the clipped gradient shows the others
            }
            for (var tensor : parts[2].equals("_global") ? global(file, parts[1]) : List.of(parts[2])) {
                var mine = find(file, parts[1], tensor);
                if (mine.isPresent() || !isZero(file.get(key))) { // references also keep what a configuration never touches
                    Closeness.checkState(file, key, mine.orElseThrow(
                            () -> new AssertionError(file + ": nothing stands for " + key)));
                }
            }
        }
    }

    private static boolean isZero(float[] values) {
        for (float value : values) {
            if (value != 0) {
                return false;
            }
        }
        return true;
    }

    /// Where a number is kept that references keep once: once, or by each tensor.
    private List<String> global(GoldenFile file, String state) {
        return find(file, state, "").isPresent() ? List.of("") : List.copyOf(file.tensors().keySet());
    }

    private Optional<float[]> find(GoldenFile file, String state, String tensor) {
        return switch (state) {
            case "x" -> average("schedule_free", tensor);
            case "clipped_grad" -> Optional.of(gradientOf(delta(tensor), (Double) file.description().get("lr")));
            case "total_norm" -> Optional.of(new float[] {(float) gradNorm()});
            default -> slot(state.startsWith("inner_") ? state.substring("inner_".length()) : state, tensor);
        };
    }

    /// What plain SGD was given.
    private static float[] gradientOf(float[] delta, double lr) {
        var gradient = new float[delta.length];
        for (int i = 0; i < gradient.length; i++) {
            gradient[i] = (float) (delta[i] / -lr);
        }
        return gradient;
    }
}
