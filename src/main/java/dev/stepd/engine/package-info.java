/// Binds an optimizer to a device: where tensors and slots lie, what runs when, what a step does.
///
/// Start at [Engine]. May use `device`, `rule`, `expr`, `tensor`, `error`.
@NullMarked
package dev.stepd.engine;

import org.jspecify.annotations.NullMarked;
