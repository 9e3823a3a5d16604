/// JVM classes for the passes of a program: Vector API calls over off-heap memory, written with `java.lang.classfile`.
/// Together with `device.cpu` the only place that names the incubating vector module.
///
/// Start at [KernelCompiler]. May use `expr`, `tensor` and `error`.
@NullMarked
package dev.stepd.codegen.cpu;

import org.jspecify.annotations.NullMarked;
