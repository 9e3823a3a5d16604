/// Ports and records of what is kept in a database. Implementations live in `store.jdbc`.
///
/// Start at [SnapshotStore]. May use `tensor`, `error`.
@NullMarked
package dev.stepd.store;

import org.jspecify.annotations.NullMarked;
