/// The HTTP interface: what a request says becomes a call of `session`, what comes back becomes bytes. No decisions.
///
/// Tensor bodies never touch the Java heap: [BodyReceiver] feeds network buffers to an `Incoming`, [TensorReply] sends
/// leased memory. Everything that goes wrong leaves through [Problems]. Start at [StepController], the hot path.
/// May use `session`, `tuning`, `tensor`, `error`.
@NullMarked
package dev.stepd.http;

import org.jspecify.annotations.NullMarked;
