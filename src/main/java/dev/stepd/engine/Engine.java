package dev.stepd.engine;

import dev.stepd.device.Memory;
import dev.stepd.tensor.TensorSpec;
import java.util.List;
import java.util.Map;

/// Turns an optimizer's description into a [Stepper] on a device. Safe for concurrent use.
public final class Engine implements AutoCloseable {
    /// What to build, with everything as JSON came: this class resolves and checks it.
    ///
    /// @param optimizer `{"name": "adamw", "lr": 0.001, ...}`
    /// @param groups `[{"match": "*.bias", "weight_decay": 0.0}]`
    /// @param schedule `{"name": "cosine", ...}` or null for none
    /// @param clip `{"global_norm": 1.0}` or null for none
    /// @param nonFinite what to do with a gradient that holds NaN or infinity
    public record Blueprint(
            List<TensorSpec> tensors,
            Map<String, Object> optimizer,
            List<Map<String, Object>> groups,
            Map<String, Object> schedule,
            Map<String, Object> clip,
            NonFinite nonFinite) {}

    /// The session's policy for gradients that hold NaN or infinity.
    public enum NonFinite {
        REJECT,
        SKIP,
        PROPAGATE
    }

    /// Checks a description and builds it.
    ///
    /// @throws dev.stepd.error.ServiceException `UNKNOWN_NAME`, `INVALID_VALUE`, `OUT_OF_MEMORY`
    public Stepper create(Blueprint blueprint) {
        throw new IllegalStateException("to be built");
    }

    /// Replaces hyperparameters, groups, schedule or clipping from the next step on; slots and counters stay.
    /// The tensors must be the same. Changes nothing when it throws.
    ///
    /// @throws dev.stepd.error.ServiceException also when the change would need other slots
    public void reconfigure(Stepper stepper, Blueprint blueprint) {
        throw new IllegalStateException("to be built");
    }

    /// The optimizer of a blueprint with every hyperparameter resolved, as the session shows it.
    public Map<String, Object> resolved(Blueprint blueprint) {
        throw new IllegalStateException("to be built");
    }

    /// A hash of the programs behind a blueprint: snapshots carry it, and a restore under another program is refused.
    public String programHash(Blueprint blueprint) {
        throw new IllegalStateException("to be built");
    }

    /// The device's memory; session bodies come from it too.
    public Memory memory() {
        throw new IllegalStateException("to be built");
    }

    /// `cpu`.
    public String deviceName() {
        return "cpu";
    }

    @Override
    public void close() {}
}
