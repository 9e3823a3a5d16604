/// Life cycle of sessions: one writer each, exactly-once step numbers, snapshots and restore.
///
/// Start at [Sessions]. May use `engine`, `store`, `rule`, `tensor`, `error`.
@NullMarked
package dev.stepd.session;

import org.jspecify.annotations.NullMarked;
