package dev.stepd.session;

import dev.stepd.error.Fields;
import dev.stepd.rule.Composition;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/// What a client wants a fork to be.
///
/// @param snapshot to go on from, or empty for the live state
/// @param changes the fields that differ from those of the session
record ForkRequest(Optional<String> snapshot, Map<String, Object> changes) {
    /// @throws dev.stepd.error.ServiceException naming the field
    static ForkRequest parse(Map<String, Object> json) {
        var fields = Fields.of("", json);
        var snapshot = fields.string("snapshot");
        var changes = new LinkedHashMap<String, Object>();
        fields.string("name").ifPresent(name -> changes.put("name", name));
        fields.string("device").ifPresent(device -> changes.put("device", device));
        fields.string("durability").ifPresent(durability -> changes.put("durability", durability));
        fields.object("optimizer").ifPresent(_ -> changes.put("optimizer", json.get("optimizer")));
        fields.object("state").ifPresent(_ -> changes.put("state", json.get("state")));
        fields.finish();
        return new ForkRequest(snapshot, Map.copyOf(changes));
    }

    /// The description of the fork: that of the session it comes from, but for the changes.
    ///
    /// Within an optimizer of the same name single hyperparameters change. Another one begins with its own defaults; where its name
    /// stands for a format of state too, that is the fork's unless the client says otherwise.
    SessionDescription describe(Map<String, Object> source) {
        var merged = new LinkedHashMap<>(source);
        merged.putAll(changes);
        if (changes.get("optimizer") instanceof Map<?, ?> optimizer) {
            merged.put("optimizer", optimizer(source, optimizer));
            if (!changes.containsKey("state") && bringsState(optimizer)) {
                merged.remove("state");
            }
        }
        return SessionDescription.parse(merged);
    }

    private static Object optimizer(Map<String, Object> source, Map<?, ?> change) {
        var before = Fields.of("optimizer", source.get("optimizer")).requiredString("name");
        boolean same = before.equals(change.containsKey("name") ? change.get("name") : before);
        return same ? DescriptionPatch.optimizer(source.get("optimizer"), change) : change;
    }

    @SuppressWarnings("unchecked") // JSON objects have string keys
    private static boolean bringsState(Map<?, ?> optimizer) {
        return optimizer.containsKey("name") && Composition.of((Map<String, Object>) optimizer).expanded().state() != null;
    }
}
