/// What sessions did, step by step, in append-only files: what a crash must not lose between two snapshots.
///
/// Start at [Journals]; [Journal] is the writing side of one session, [Reading] what recovery finds, [RecordFormat] the bytes. Knows
/// nothing of optimizers: a record's payload is whatever memory it is given. May use `tensor`, `error`.
@NullMarked
package dev.stepd.store.journal;

import org.jspecify.annotations.NullMarked;
