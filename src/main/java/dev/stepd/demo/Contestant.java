package dev.stepd.demo;

import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// An optimizer as the demo uses it.
///
/// @param optimizer the `optimizer` object of its session
record Contestant(String name, Map<String, Object> optimizer) {
    /// One of each family: a plain momentum, adaptive rates, signs alone.
    static final List<Contestant> ALL = List.of(
            of("sgd", Map.of("lr", 0.1, "momentum", 0.9, "nesterov", true, "weight_decay", 1e-4)),
            of("adamw", Map.of("lr", 1e-2, "weight_decay", 0.01)),
            of("lion", Map.of("lr", 2e-3, "weight_decay", 0.1)));

    private static Contestant of(String name, Map<String, Object> hyperparameters) {
        var optimizer = new HashMap<>(hyperparameters);
        optimizer.put("name", name);
        return new Contestant(name, Map.copyOf(optimizer));
    }

    /// The session to ask for: the rate rises for one epoch and falls along a cosine, biases do not decay, and a
    /// snapshot is taken every so many steps.
    Map<String, Object> session(long epochSteps, long steps, long snapshotEvery) {
        var session = new LinkedHashMap<String, Object>();
        session.put("name", "demo-" + name);
        session.put("optimizer", optimizer);
        session.put("tensors", Network.TENSORS.stream()
                .map(tensor -> Map.of("name", tensor.name(), "shape", tensor.shape().extents())).toList());
        session.put("groups", List.of(Map.of("match", "*.bias", "weight_decay", 0)));
        session.put("schedule", Map.of("name", "cosine", "warmup_steps", epochSteps, "total_steps", steps));
        session.put("durability", "snapshot");
        session.put("snapshot_every", snapshotEvery);
        return session;
    }
}
