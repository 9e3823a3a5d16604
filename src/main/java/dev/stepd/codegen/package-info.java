/// Makes code of stages, one subpackage for each kind of machine; testable without any device.
///
/// May use `expr`, `tensor` and `error`.
@NullMarked
package dev.stepd.codegen;

import org.jspecify.annotations.NullMarked;
