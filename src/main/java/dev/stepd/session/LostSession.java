package dev.stepd.session;

import dev.stepd.store.StoredSession;
import java.util.Map;

/// A stored session that could not be brought back: listed with the reason, and refusing every step, because starting
/// it anew would train on as if nothing had been lost.
///
/// @param description as stored, as far as it could be read
/// @param durableStep the step of its newest snapshot
record LostSession(
        StoredSession stored, Map<String, Object> description, long durableStep, String reason)
        implements Life {
    @Override
    public Session.Status status() {
        return new Session.Status(stored.id(), description, durableStep, durableStep, 0, false,
                String.valueOf(description.getOrDefault("device", "")),
                "", new Standing.Failed(reason).text(), stored.created());
    }
}
