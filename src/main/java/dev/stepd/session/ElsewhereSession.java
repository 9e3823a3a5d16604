package dev.stepd.session;

import dev.stepd.store.StoredSession;
import java.util.Map;

/// A session of another server that shares the store: listed with its owner, and refusing everything that would change it.
///
/// @param description as stored
/// @param durableStep the step of its newest snapshot when it was last looked at
record ElsewhereSession(
        StoredSession stored, Map<String, Object> description, long durableStep, String owner)
        implements Life {
    @Override
    public Session.Status status() {
        return new Session.Status(stored.id(), description, durableStep, durableStep, 0, false,
                String.valueOf(description.getOrDefault("device", "")),
                "", new Standing.Taken(owner).text(), stored.created());
    }
}
