/// The processor as a device: memory outside the heap, threads that share passes, compiled kernels by their stage.
///
/// Start at [CpuDevice]. May use `device`, `codegen`, `expr`, `tensor` and `error`.
@NullMarked
package dev.stepd.device.cpu;

import org.jspecify.annotations.NullMarked;
