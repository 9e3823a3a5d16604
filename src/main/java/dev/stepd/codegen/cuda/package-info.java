/// Makes CUDA C of plans: text, testable without any device.
///
/// Start at [CudaProgram]. May use `expr`, `tensor` and `error`.
@NullMarked
package dev.stepd.codegen.cuda;

import org.jspecify.annotations.NullMarked;
