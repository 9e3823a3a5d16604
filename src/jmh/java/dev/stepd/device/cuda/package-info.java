/// What a GPU reaches: benchmarks of the CUDA device, timed by the device's own clock. Entry: [dev.stepd.device.cuda.GpuBench].
package dev.stepd.device.cuda;
