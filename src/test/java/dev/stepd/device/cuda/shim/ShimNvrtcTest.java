package dev.stepd.device.cuda.shim;

import static jcuda.driver.JCudaDriver.cuModuleGetFunction;
import static jcuda.driver.JCudaDriver.cuModuleLoadData;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.concurrent.TimeUnit;
import jcuda.driver.CUfunction;
import jcuda.driver.CUmodule;
import jcuda.driver.CUresult;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// What compiles, what does not, and what is said of it.
class ShimNvrtcTest {
    private static final String NOTHING = "extern \"C\" __global__ void nothing() {}\n";
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
    void errorsNameTheLine() {
        var compiled = on.nvrtc.compile(NOTHING + "\nextern \"C\" __global__ void f(float *x) { x[0] = y; }\n",
                List.of("--gpu-architecture=sm_90"));
        assertThat(compiled.result()).isEqualTo(6);
        assertThat(compiled.log()).contains("test.cu:3:").contains("error").contains("'y' was not declared");
    }

    @Test
    void warningsAreInTheLog() {
        var compiled = on.nvrtc.compile("extern \"C\" __global__ void f() { int unused = 1; }", List.of("--gpu-architecture=sm_90"));
        assertThat(compiled.result()).isZero();
        assertThat(compiled.log()).contains("unused variable");
    }

    @Test
    void staticSharedMemoryIsLimited() {
        var compiled = on.nvrtc.compile("""
                extern "C" __global__ void f(int *x) {
                    __shared__ int s[12289];
                    for (int i = threadIdx.x; i < 12289; i += blockDim.x) s[i] = x[i];
                    __syncthreads();
                    x[threadIdx.x] = s[12288 - threadIdx.x];
                }
                """, List.of("--gpu-architecture=sm_90"));
        assertThat(compiled.result()).isEqualTo(6);
        assertThat(compiled.log()).contains("'f' uses too much shared data (49156 bytes, 49152 at most)");
    }

    @Test
    void headersAreNotThere() {
        var compiled = on.nvrtc.compile("#include <stdint.h>\n" + NOTHING, List.of("--gpu-architecture=sm_90"));
        assertThat(compiled.result()).isEqualTo(6);
        assertThat(compiled.log()).contains("stdint.h");
    }

    @ParameterizedTest
    @ValueSource(strings = {"--gpu-architecture=sm_91", "--gpu-architecture=90", "-O3", "--std=c++03", "-ffast-math", "fmad=false"})
    void unknownOptionsAreRefused(String option) {
        var compiled = on.nvrtc.compile(NOTHING, List.of(option));
        assertThat(compiled.result()).isEqualTo(5);
        assertThat(compiled.log()).contains(option);
    }

    @Test
    void codeIsForItsArchitecture() {
        load("sm_90", CUresult.CUDA_SUCCESS);
        load("sm_80", CUresult.CUDA_ERROR_NO_BINARY_FOR_GPU);
        load("sm_100", CUresult.CUDA_ERROR_NO_BINARY_FOR_GPU);
        load("compute_75", CUresult.CUDA_SUCCESS);
        load("compute_100", CUresult.CUDA_ERROR_NO_BINARY_FOR_GPU);
        on.shim.capability(86);
        load("sm_80", CUresult.CUDA_SUCCESS);
        load("sm_89", CUresult.CUDA_ERROR_NO_BINARY_FOR_GPU);
    }

    private void load(String architecture, int result) {
        var image = on.nvrtc.compile(NOTHING, List.of("--gpu-architecture=" + architecture)).image();
        assertThat(cuModuleLoadData(new CUmodule(), image)).as(architecture).isEqualTo(result);
    }

    @Test
    void namesThatAreNotThereAreNotFound() {
        var module = on.module(NOTHING + "// extern \"C\" __global__ void comment() {}\n__device__ int used(int i) { return i; }\n");
        on.check(cuModuleGetFunction(new CUfunction(), module, "nothing"));
        assertThat(cuModuleGetFunction(new CUfunction(), module, "comment")).isEqualTo(CUresult.CUDA_ERROR_NOT_FOUND);
        assertThat(cuModuleGetFunction(new CUfunction(), module, "used")).isEqualTo(CUresult.CUDA_ERROR_NOT_FOUND);
        assertThat(cuModuleLoadData(new CUmodule(), "no module at all, but long enough to be asked for a header of sixty-four bytes"
                .getBytes())).isEqualTo(CUresult.CUDA_ERROR_INVALID_IMAGE);
    }

    /// Many hundred kernels are compiled in a test run.
    @Test
    void compilesQuickly() {
        var text = new StringBuilder(NOTHING);
        for (int k = 0; k < 25; k++) {
            text.append("""
                    __device__ inline float f%1$d(float x) {
                        float y = __fmaf_rn(x, 1.5f, %1$d);
                        return __fdiv_rn(y, __fsqrt_rn(__fadd_rn(fabsf(x), 1.0f)));
                    }
                    """.formatted(k));
        }
        on.nvrtc.compile(text.toString());
        long start = System.nanoTime();
        on.nvrtc.compile(text.toString());
        // 60 ms on an idle machine; a busy one may take its time
        assertThat(System.nanoTime() - start).isLessThan(TimeUnit.SECONDS.toNanos(5));
    }
}
