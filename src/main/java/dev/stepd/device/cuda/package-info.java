/// NVIDIA GPUs as devices: the driver's interface, the compiler of kernels, modules kept on disk.
///
/// Start at [CudaLibrary], which says whether there is any. This package alone names JCuda; every call of it passes
/// [Cuda#check]. Addresses are plain `long`s, on the device and on the host. May use `device`, `codegen`, `expr`, `tensor`
/// and `error`.
@NullMarked
package dev.stepd.device.cuda;

import org.jspecify.annotations.NullMarked;
