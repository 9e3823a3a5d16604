package dev.stepd.session;

import java.util.Map;

/// Something that happened to a session.
///
/// @param id names it among all of the session's: whoever comes back with it goes on behind it
/// @param name `step`, `snapshot`, `restore`, `evicted`, `woken`, `failed`, `reconfigured`, `deleted`, or `gap` for those that are gone
/// @param data a JSON object
public record Event(String id, String name, Map<String, Object> data) {}
