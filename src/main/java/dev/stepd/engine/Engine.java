package dev.stepd.engine;

import dev.stepd.device.Device;
import dev.stepd.device.HostMemory;
import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.rule.Composition;
import dev.stepd.tensor.TensorSpec;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/// Turns an optimizer's description into a [Stepper] on a device. Safe for concurrent use. Owns the devices.
public final class Engine implements AutoCloseable {
    /// What to build, with everything as JSON came: this package resolves and checks it.
    ///
    /// @param composition the optimizer and what is around it; presets are expanded
    /// @param groups `[{"match": "*.bias", "weight_decay": 0.0}]`
    /// @param schedule `{"name": "cosine", ...}`, an array of such objects with a `hyperparameter` each, or null for none
    /// @param nonFinite what to do with a gradient that holds NaN or infinity
    /// @param metrics what is measured of a step; no bit of what it does depends on it
    public record Blueprint(
            List<TensorSpec> tensors,
            Composition composition,
            List<Map<String, Object>> groups,
            @Nullable Object schedule,
            NonFinite nonFinite,
            Metrics metrics) {
        public Blueprint {
            tensors = List.copyOf(tensors);
            composition = composition.expanded();
            groups = List.copyOf(groups);
        }

        /// With the measures that cost nothing.
        public Blueprint(
                List<TensorSpec> tensors,
                Composition composition,
                List<Map<String, Object>> groups,
                @Nullable Object schedule,
                NonFinite nonFinite) {
            this(tensors, composition, groups, schedule, nonFinite, Metrics.GRADIENT);
        }

        /// An optimizer with nothing but clipping around it.
        ///
        /// @param clip `{"global_norm": 1.0}` or null for none
        public Blueprint(
                List<TensorSpec> tensors,
                Map<String, Object> optimizer,
                List<Map<String, Object>> groups,
                @Nullable Object schedule,
                @Nullable Map<String, Object> clip,
                NonFinite nonFinite) {
            this(tensors, new Composition(optimizer, List.of(), null, clip, null), groups, schedule, nonFinite);
        }
    }

    /// The session's policy for gradients that hold NaN or infinity.
    public enum NonFinite {
        REJECT,
        SKIP,
        PROPAGATE
    }

    /// What is measured of a step.
    public enum Metrics {
        /// The gradient's norm, which every step needs.
        GRADIENT,
        /// The norms of deltas and parameters as well, summed in the pass that computes them.
        NORMS
    }

    private final Devices devices;

    public Engine(Devices devices) {
        this.devices = devices;
    }

    /// An engine with one device.
    public Engine(Device device) {
        this(new Devices(List.of(device), "this engine has one device"));
    }

    /// Checks a description and builds it on whatever device has room.
    ///
    /// @throws ServiceException `UNKNOWN_NAME`, `INVALID_VALUE`, `OUT_OF_MEMORY`
    public Stepper create(Blueprint blueprint) {
        return create(blueprint, Devices.AUTO);
    }

    /// Checks a description and builds it.
    ///
    /// @param device `auto`, `cpu`, `cuda` or `cuda:1`; where a name stands for several, the first with room is taken
    /// @throws ServiceException `UNKNOWN_NAME`, `INVALID_VALUE`, `DEVICE_UNAVAILABLE`, `OUT_OF_MEMORY`
    public Stepper create(Blueprint blueprint, String device) {
        return create(blueprint, device, stepper -> stepper);
    }

    /// Checks a description and builds it, and what is to be built on that: there must be room for both.
    ///
    /// @param then if it throws, the stepper is closed
    /// @throws ServiceException as the other [#create]
    public <T> T create(Blueprint blueprint, String device, Function<Stepper, T> then) {
        var candidates = devices.find(device);
        var optimizer = Optimizer.of(blueprint);
        for (var candidate : candidates.subList(0, candidates.size() - 1)) {
            try {
                return create(candidate, optimizer, blueprint, then);
            } catch (RuntimeException e) {
                if (!isOutOfMemory(e) && candidate.reasonLost() == null) {
                    throw e;
                }
            }
        }
        try {
            return create(candidates.getLast(), optimizer, blueprint, then);
        } catch (RuntimeException e) {
            devices.find(device); // says that it is lost, if that was it
            throw e;
        }
    }

    private static <T> T create(Device device, Optimizer optimizer, Blueprint blueprint, Function<Stepper, T> then) {
        var stepper = new Stepper(device, optimizer, blueprint.nonFinite());
        try {
            return then.apply(stepper);
        } catch (RuntimeException e) {
            stepper.close();
            throw e;
        }
    }

    private static boolean isOutOfMemory(RuntimeException e) {
        return e instanceof ServiceException refusal && refusal.code() == ErrorCode.OUT_OF_MEMORY;
    }

    /// Replaces hyperparameters, schedule or clipping from the next step on; slots and counters stay. The tensors must be the same.
    /// Changes nothing when it throws.
    ///
    /// @throws ServiceException also when the change would need other slots or move tensors between groups
    public void reconfigure(Stepper stepper, Blueprint blueprint) {
        var changed = Optimizer.of(blueprint);
        if (!changed.layout().equals(stepper.layout())) {
            throw new ServiceException(ErrorCode.CONFLICT,
                    "groups: the change moves tensors to other groups; create a new session for that");
        }
        if (!changed.slots().equals(stepper.optimizer().slots())) {
            throw new ServiceException(ErrorCode.CONFLICT,
                    "optimizer: the change needs other state than this session keeps; create a new session for that");
        }
        stepper.reconfigure(changed, blueprint.nonFinite());
    }

    /// What becomes of each slot of a session that goes on under another description.
    ///
    /// @param from, to of the same tensors
    /// @throws ServiceException when either is none
    public Translation translation(Blueprint from, Blueprint to) {
        return new Translation(Optimizer.of(from), Optimizer.of(to));
    }

    /// Gives a new stepper the state of another, as a translation between their blueprints says. The other stays as it is.
    public void inherit(Stepper source, Stepper target, Translation translation) {
        translation.apply(source, target);
    }

    /// What a blueprint's optimizer is composed of with every hyperparameter resolved, as the session shows it.
    public Composition resolved(Blueprint blueprint) {
        var optimizer = Optimizer.of(blueprint);
        var settings = optimizer.settings();
        return new Composition(settings.resolved(), settings.resolvedWrap(), settings.resolvedAverage(),
                optimizer.clip().resolved(), optimizer.format().resolved());
    }

    /// A hash of the programs behind a blueprint: snapshots carry it, and a restore under another program is refused.
    public String programHash(Blueprint blueprint) {
        return Optimizer.of(blueprint).hash();
    }

    /// Main memory for what belongs to no device.
    public HostMemory hostMemory() {
        return devices.host();
    }

    @Override
    public void close() {
        devices.close();
    }
}
