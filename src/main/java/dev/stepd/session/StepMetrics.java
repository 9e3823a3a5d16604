package dev.stepd.session;

import dev.stepd.engine.Stepper;
import java.util.Map;

/// What was measured of a step. Norms that nobody knows are NaN.
///
/// @param gradNorm of the gradient, before clipping
/// @param updateNorm of the deltas as they are sent
/// @param paramNorm of the parameters afterwards
/// @param clip by how much clipping shortened the gradient, 1 where it did not
/// @param nonFinite elements of each tensor's gradient that were NaN or infinite, of the tensors that had any
public record StepMetrics(
        double lr, double gradNorm, double updateNorm, double paramNorm, double clip, Map<String, Long> nonFinite) {
    static StepMetrics of(Stepper stepper) {
        return new StepMetrics(stepper.lastLr(), stepper.lastGradNorm(), stepper.lastUpdateNorm(), stepper.lastParamNorm(),
                stepper.lastClipFactor(), stepper.lastNonFinite());
    }

    /// What is kept with an answer.
    static StepMetrics kept(double lr, double gradNorm) {
        return new StepMetrics(lr, gradNorm, Double.NaN, Double.NaN, Double.NaN, Map.of());
    }

    /// How many elements of the gradient were not finite.
    public long nonFiniteCount() {
        long count = 0;
        for (var tensor : nonFinite.values()) {
            count += tensor;
        }
        return count;
    }
}
