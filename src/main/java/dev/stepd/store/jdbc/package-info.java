/// Keeps sessions and snapshots in a relational database.
///
/// Start at [JdbcSnapshotStore]. May use `store`, `tensor`, `error`; named by `server` only.
@NullMarked
package dev.stepd.store.jdbc;

import org.jspecify.annotations.NullMarked;
