package dev.stepd.device.cuda;

import java.util.concurrent.atomic.AtomicBoolean;
import jcuda.driver.CUfunction;
import jcuda.driver.CUmodule;
import jcuda.driver.JCudaDriver;

/// Compiled kernels in a device.
final class CudaModule implements AutoCloseable {
    private final CudaContext context;
    private final CUmodule module = new CUmodule();
    private final AtomicBoolean open = new AtomicBoolean(true);

    CudaModule(CudaContext context, byte[] image) {
        this.context = context;
        context.use();
        Cuda.check(JCudaDriver.cuModuleLoadData(module, image), "cuModuleLoadData");
    }

    /// @param name of an `extern "C" __global__` function
    CudaFunction function(String name) {
        context.use();
        var function = new CUfunction();
        Cuda.check(JCudaDriver.cuModuleGetFunction(function, module, name), "cuModuleGetFunction(" + name + ")");
        return new CudaFunction(context, name, function);
    }

    /// Takes the kernels out of the device; none of them may run.
    @Override
    public void close() {
        if (open.compareAndSet(true, false)) {
            context.release(() -> JCudaDriver.cuModuleUnload(module), "cuModuleUnload");
        }
    }
}
