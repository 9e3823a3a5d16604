/// A CUDA driver and an NVRTC for machines without a GPU, so that the production code runs there unchanged: built from
/// `src/test/native/cuda` by g++ when tests first ask for it. Entry: [dev.stepd.device.cuda.shim.CudaShim].
@NullMarked
package dev.stepd.device.cuda.shim;

import org.jspecify.annotations.NullMarked;
