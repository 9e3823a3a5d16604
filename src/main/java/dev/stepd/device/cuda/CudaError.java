package dev.stepd.device.cuda;

import static jcuda.driver.CUresult.CUDA_ERROR_ASSERT;
import static jcuda.driver.CUresult.CUDA_ERROR_CONTEXT_IS_DESTROYED;
import static jcuda.driver.CUresult.CUDA_ERROR_DEINITIALIZED;
import static jcuda.driver.CUresult.CUDA_ERROR_ECC_UNCORRECTABLE;
import static jcuda.driver.CUresult.CUDA_ERROR_HARDWARE_STACK_ERROR;
import static jcuda.driver.CUresult.CUDA_ERROR_ILLEGAL_ADDRESS;
import static jcuda.driver.CUresult.CUDA_ERROR_ILLEGAL_INSTRUCTION;
import static jcuda.driver.CUresult.CUDA_ERROR_INVALID_ADDRESS_SPACE;
import static jcuda.driver.CUresult.CUDA_ERROR_INVALID_PC;
import static jcuda.driver.CUresult.CUDA_ERROR_LAUNCH_FAILED;
import static jcuda.driver.CUresult.CUDA_ERROR_LAUNCH_TIMEOUT;
import static jcuda.driver.CUresult.CUDA_ERROR_MISALIGNED_ADDRESS;
import static jcuda.driver.CUresult.CUDA_ERROR_NVLINK_UNCORRECTABLE;
import static jcuda.driver.CUresult.CUDA_ERROR_OUT_OF_MEMORY;
import static jcuda.driver.CUresult.CUDA_ERROR_UNKNOWN;

/// What the driver answered to a call that failed.
public final class CudaError extends RuntimeException {
    // cuda.h of CUDA 12.8 and later has these, JCuda does not
    private static final int CUDA_ERROR_CONTAINED = 226;
    private static final int CUDA_ERROR_TENSOR_MEMORY_LEAK = 721;
    private static final int CUDA_ERROR_EXTERNAL_DEVICE = 911;

    private final int number;
    private final String name;
    private final String call;

    /// @param number the driver's result
    /// @param name as in cuda.h: `CUDA_ERROR_ILLEGAL_ADDRESS`
    /// @param text the driver's own words, empty if it has none
    /// @param call the function that answered it: for a sticky error often a later one than what caused it
    CudaError(int number, String name, String text, String call) {
        super(call + " failed: " + name + " (" + number + ")" + (text.isEmpty() ? "" : ", " + text));
        this.number = number;
        this.name = name;
        this.call = call;
    }

    public int number() {
        return number;
    }

    public String name() {
        return name;
    }

    public String call() {
        return call;
    }

    /// Whether only memory was short: nothing has changed, the device goes on.
    public boolean isOutOfMemory() {
        return number == CUDA_ERROR_OUT_OF_MEMORY;
    }

    /// Whether the device's context is lost, and with it all memory of it: every later call answers the same.
    public boolean isSticky() {
        return isSticky(number);
    }

    static boolean isSticky(int number) {
        return switch (number) {
            case CUDA_ERROR_ILLEGAL_ADDRESS, CUDA_ERROR_MISALIGNED_ADDRESS, CUDA_ERROR_INVALID_ADDRESS_SPACE,
                    CUDA_ERROR_INVALID_PC, CUDA_ERROR_ILLEGAL_INSTRUCTION, CUDA_ERROR_LAUNCH_FAILED,
                    CUDA_ERROR_LAUNCH_TIMEOUT, CUDA_ERROR_ASSERT, CUDA_ERROR_HARDWARE_STACK_ERROR,
                    CUDA_ERROR_ECC_UNCORRECTABLE, CUDA_ERROR_NVLINK_UNCORRECTABLE, CUDA_ERROR_CONTAINED,
                    CUDA_ERROR_TENSOR_MEMORY_LEAK, CUDA_ERROR_EXTERNAL_DEVICE, CUDA_ERROR_CONTEXT_IS_DESTROYED,
                    CUDA_ERROR_DEINITIALIZED, CUDA_ERROR_UNKNOWN -> true;
            default -> false;
        };
    }
}
