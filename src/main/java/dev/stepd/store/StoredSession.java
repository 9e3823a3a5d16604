package dev.stepd.store;

import java.time.Instant;

/// A session as it is kept.
///
/// @param description the JSON it is rebuilt from
/// @param programHash the programs its state belongs to
public record StoredSession(String id, String name, String description, String programHash, Instant created) {}
