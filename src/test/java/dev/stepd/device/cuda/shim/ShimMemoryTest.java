package dev.stepd.device.cuda.shim;

import static jcuda.driver.JCudaDriver.cuCtxSynchronize;
import static jcuda.driver.JCudaDriver.cuDevicePrimaryCtxReset;
import static jcuda.driver.JCudaDriver.cuMemAlloc;
import static jcuda.driver.JCudaDriver.cuMemFree;
import static jcuda.driver.JCudaDriver.cuMemFreeHost;
import static jcuda.driver.JCudaDriver.cuMemGetInfo;
import static jcuda.driver.JCudaDriver.cuMemcpyDtoD;
import static jcuda.driver.JCudaDriver.cuMemcpyDtoHAsync;
import static jcuda.driver.JCudaDriver.cuMemcpyHtoD;
import static jcuda.driver.JCudaDriver.cuMemsetD8;
import static jcuda.driver.JCudaDriver.cuStreamDestroy;
import static jcuda.driver.JCudaDriver.cuStreamSynchronize;
import static org.assertj.core.api.Assertions.assertThat;

import jcuda.Pointer;
import jcuda.driver.CUdevice;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUresult;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// What is wrong with memory is found on the shim as on a GPU, or sooner.
class ShimMemoryTest {
    private static final String PUT = """
            extern "C" __global__ void put(float *x, long long at) { x[at] = 1; }
            """;
    private OnShim on;

    @BeforeEach
    void begin() {
        on = OnShim.fresh();
    }

    @AfterEach
    void end() {
        if (on != null) {
            on.close();
        }
    }

    @Test
    void freshMemoryIsGarbage() {
        assertThat(on.ints(on.device(3), 3)).containsOnly(0xcdcdcdcd);
    }

    @ParameterizedTest
    @ValueSource(longs = {-1, -128, 10, 11, 137})
    void kernelsThatWriteBesideAnAllocationLoseTheContext(long at) {
        var put = on.function(PUT, "put");
        var x = on.device(10);
        on.launch(put, 1, 1, Pointer.to(x), Pointer.to(new long[] {at}));
        assertThat(cuCtxSynchronize()).isEqualTo(CUresult.CUDA_ERROR_ILLEGAL_ADDRESS);
        assertThat(on.shim.message()).contains("kernel put").contains("40 bytes").contains("offset " + at * 4);
        // and whatever is called next says so, too
        assertThat(cuMemAlloc(new CUdeviceptr(), 4)).isEqualTo(CUresult.CUDA_ERROR_ILLEGAL_ADDRESS);
        assertThat(cuMemFree(x)).isEqualTo(CUresult.CUDA_ERROR_ILLEGAL_ADDRESS);
        on.check(cuDevicePrimaryCtxReset(new CUdevice()));
        assertThat(on.shim.balance()).isZero();
        on.begin();
        on.check(cuMemAlloc(x, 4));
    }

    @ParameterizedTest
    @ValueSource(longs = {1L << 20, -(1L << 20)})
    void kernelsThatWriteFarOutsideLoseTheContext(long at) {
        var put = on.function(PUT, "put");
        on.launch(put, 1, 1, Pointer.to(new CUdeviceptr()), Pointer.to(new long[] {at}));
        assertThat(cuCtxSynchronize()).isEqualTo(CUresult.CUDA_ERROR_ILLEGAL_ADDRESS);
        assertThat(on.shim.message()).contains("kernel put").contains("in no allocation");
    }

    @Test
    void kernelsThatUseWhatIsFreedLoseTheContext() {
        var put = on.function(PUT, "put");
        var x = on.device(10);
        on.check(cuMemFree(x));
        on.launch(put, 1, 1, Pointer.to(x), Pointer.to(new long[] {0}));
        assertThat(cuCtxSynchronize()).isEqualTo(CUresult.CUDA_ERROR_ILLEGAL_ADDRESS);
        assertThat(on.shim.message()).contains("in memory that was freed");
    }

    /// What only a GPU would mind, or would do otherwise than the host: g++'s checks find it, and name the line.
    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "*(float4 *) (x + 1) = make_float4(1, 2, 3, 4); | 716 | a misaligned address",
        "float t[4]; for (int i = 0; i < n; i++) t[i] = x[i]; x[0] = t[n & 3]; | 700 | an index outside an array",
        "x[0] = (float) (1 << n); | 719 | a shift by more than the width",
        "x[0] = (float) (int) (1e9f * n); | 719 | a conversion of what does not fit",
        "x[0] = (float) (n / (n - 33)); | 719 | an integer division by zero",
    })
    void textsThatMeanAnotherThingOnADeviceAreFound(String statement, int error, String message) {
        var odd = on.function("\nextern \"C\" __global__ void odd(float *x, int n) {\n" + statement + "\n}", "odd");
        on.launch(odd, 1, 1, Pointer.to(on.device(new float[40])), Pointer.to(new int[] {33}));
        assertThat(cuCtxSynchronize()).isEqualTo(error);
        assertThat(on.shim.message()).contains("kernel odd").contains(message);
        if (!message.contains("division")) {
            assertThat(on.shim.message()).contains("test.cu:3:");
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "if (threadIdx.x < 40) __syncwarp(); else __syncthreads(); | for ever",
        "if (threadIdx.x < 7) __shfl_sync(0xffffffffu, 1, 0); else __syncthreads(); | for ever",
        "if (threadIdx.x > 3) __syncwarp(7); | does not name the thread",
        "if (threadIdx.x == 50) __trap(); | __trap",
    })
    void kernelsThatHangOrTrapLoseTheContext(String statement, String message) {
        var hang = on.function("extern \"C\" __global__ void hang() { " + statement + " }", "hang");
        on.launch(hang, 1, 64);
        assertThat(cuCtxSynchronize()).isEqualTo(CUresult.CUDA_ERROR_LAUNCH_FAILED);
        assertThat(on.shim.message()).contains("kernel hang").contains(message);
        assertThat(cuCtxSynchronize()).isEqualTo(CUresult.CUDA_ERROR_LAUNCH_FAILED);
    }

    @Test
    void memoryIsWithinTheBudget() {
        on.shim.memory(1000);
        var free = new long[1];
        var total = new long[1];
        var x = on.device(200);
        on.check(cuMemGetInfo(free, total));
        assertThat(free).containsExactly(200);
        assertThat(total).containsExactly(1000);
        assertThat(cuMemAlloc(new CUdeviceptr(), 201)).isEqualTo(CUresult.CUDA_ERROR_OUT_OF_MEMORY);
        on.check(cuMemFree(x));
        on.check(cuMemAlloc(x, 1000));
        on.check(cuMemFree(x));
        assertThat(on.shim.balance()).isZero();
    }

    @Test
    void freeingTwiceIsAnError() {
        var x = on.device(1);
        on.check(cuMemFree(x));
        assertThat(cuMemFree(x)).isEqualTo(CUresult.CUDA_ERROR_INVALID_VALUE);
        var pinned = on.pinned(4);
        on.check(cuMemFreeHost(pinned.pointer()));
        assertThat(cuMemFreeHost(pinned.pointer())).isEqualTo(CUresult.CUDA_ERROR_INVALID_VALUE);
    }

    @Test
    void copiesStayWithinOneAllocation() {
        var x = on.device(10);
        var y = on.device(10);
        assertThat(cuMemcpyHtoD(x, Pointer.to(new float[11]), 44)).isEqualTo(CUresult.CUDA_ERROR_INVALID_VALUE);
        assertThat(cuMemcpyHtoD(x.withByteOffset(-4), Pointer.to(new float[2]), 8)).isEqualTo(CUresult.CUDA_ERROR_INVALID_VALUE);
        assertThat(cuMemcpyDtoD(x, y.withByteOffset(4), 40)).isEqualTo(CUresult.CUDA_ERROR_INVALID_VALUE);
        assertThat(cuMemsetD8(x, (byte) 0, 41)).isEqualTo(CUresult.CUDA_ERROR_INVALID_VALUE);
        on.check(cuMemcpyDtoD(x, y, 40));
    }

    @Test
    void freeingWhatACopyUnderWayNeedsIsFound() {
        on.shim.idleMicros(-1);
        var stream = on.stream();
        var x = on.device(10);
        on.check(cuMemcpyDtoHAsync(on.pinned(10).pointer(), x, 40, stream));
        on.check(cuMemFree(x));
        assertThat(cuStreamSynchronize(stream)).isEqualTo(CUresult.CUDA_ERROR_ILLEGAL_ADDRESS);
        assertThat(on.shim.message()).contains("gone");
    }

    @Test
    void faultsComeWhenAskedFor() {
        on.shim.failOnce("cuMemAlloc", 2, CUresult.CUDA_ERROR_OUT_OF_MEMORY);
        on.device(1);
        assertThat(cuMemAlloc(new CUdeviceptr(), 4)).isEqualTo(CUresult.CUDA_ERROR_OUT_OF_MEMORY);
        on.device(1);
        on.shim.failFrom("cuMemAlloc", 1, CUresult.CUDA_ERROR_OUT_OF_MEMORY);
        assertThat(cuMemAlloc(new CUdeviceptr(), 4)).isEqualTo(CUresult.CUDA_ERROR_OUT_OF_MEMORY);
        assertThat(cuMemAlloc(new CUdeviceptr(), 4)).isEqualTo(CUresult.CUDA_ERROR_OUT_OF_MEMORY);
        assertThat(on.shim.calls("cuMemAlloc")).isEqualTo(5);
        // one that loses the context
        on.shim.failOnce("cuStreamSynchronize", 1, CUresult.CUDA_ERROR_ECC_UNCORRECTABLE);
        assertThat(cuStreamSynchronize(OnShim.DEFAULT)).isEqualTo(CUresult.CUDA_ERROR_ECC_UNCORRECTABLE);
        assertThat(cuStreamSynchronize(OnShim.DEFAULT)).isEqualTo(CUresult.CUDA_ERROR_ECC_UNCORRECTABLE);
    }

    /// Tests share one virtual machine, and some keep a device from one to the next.
    @Test
    void resetLeavesOthersTheirContexts() {
        var x = on.device(1f, 2f);
        on.shim.reset();
        assertThat(on.shim.balance()).isZero();
        assertThat(on.floats(x, 2)).containsExactly(1, 2);
        on.check(cuMemFree(x));
        on.begin();
        assertThat(cuMemFree(x)).isEqualTo(CUresult.CUDA_ERROR_INVALID_VALUE);
    }

    @Test
    void balanceCountsWhatLives() {
        long before = on.shim.balance();
        var stream = on.stream();
        var x = on.device(1);
        on.module("extern \"C\" __global__ void nothing() {}");
        assertThat(on.shim.balance()).isEqualTo(before + 3);
        on.check(cuStreamDestroy(stream));
        on.check(cuMemFree(x));
        assertThat(on.shim.balance()).isEqualTo(before + 1);
    }
}
