package dev.stepd.device.cuda;

import jcuda.driver.CUfunction;
import jcuda.driver.CUfunction_attribute;
import jcuda.driver.JCudaDriver;

/// A kernel that can be launched, as long as its module is loaded.
final class CudaFunction {
    private final CudaContext context;
    private final String name;
    private final CUfunction handle;

    CudaFunction(CudaContext context, String name, CUfunction handle) {
        this.context = context;
        this.name = name;
        this.handle = handle;
    }

    CUfunction handle() {
        return handle;
    }

    String name() {
        return name;
    }

    /// 32-bit registers of a thread.
    int registers() {
        return attribute(CUfunction_attribute.CU_FUNC_ATTRIBUTE_NUM_REGS);
    }

    /// Bytes of memory of a thread that did not fit registers.
    int localBytes() {
        return attribute(CUfunction_attribute.CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES);
    }

    /// Shared memory of a block that the text declares with a size.
    int staticSharedBytes() {
        return attribute(CUfunction_attribute.CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES);
    }

    /// Threads that a block may have at most, given the registers.
    int threadsMax() {
        return attribute(CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
    }

    /// Lets launches ask for as much dynamic shared memory, up to [DeviceProperties#sharedBytesPerBlock].
    void allowSharedBytes(int bytes) {
        context.use();
        Cuda.check(
                JCudaDriver.cuFuncSetAttribute(
                        handle, CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, bytes),
                "cuFuncSetAttribute");
    }

    /// Blocks that run on one multiprocessor at once.
    ///
    /// @param threads of a block
    int residentBlocks(int threads, int sharedBytes) {
        context.use();
        var blocks = new int[1];
        Cuda.check(
                JCudaDriver.cuOccupancyMaxActiveBlocksPerMultiprocessor(blocks, handle, threads, sharedBytes),
                "cuOccupancyMaxActiveBlocksPerMultiprocessor");
        return blocks[0];
    }

    private int attribute(int attribute) {
        context.use();
        var value = new int[1];
        Cuda.check(JCudaDriver.cuFuncGetAttribute(value, attribute, handle), "cuFuncGetAttribute");
        return value[0];
    }
}
