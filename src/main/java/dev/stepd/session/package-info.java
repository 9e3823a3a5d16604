/// Life cycle of sessions: one writer each, exactly-once step numbers, snapshots and restore.
///
/// Start at [Sessions]; a session in memory is a [LiveSession], whose [Steps] take bodies, [Transfers] move parameters
/// and state, and [Snapshots] keep it. May use `engine` (and the `device` memory it hands out), `store`, `rule`,
/// `tensor`, `error`.
@NullMarked
package dev.stepd.session;

import org.jspecify.annotations.NullMarked;
