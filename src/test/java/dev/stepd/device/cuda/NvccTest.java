package dev.stepd.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.stepd.device.cuda.Nvcc.Usage;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;

class NvccTest {
    private static final String TEXT = """
            struct Plan { float *values; long long count; };

            extern "C" __global__ void __launch_bounds__(256) twice(const __grid_constant__ Plan plan) {
                __shared__ float kept[256];
                long long i = blockIdx.x * 256LL + threadIdx.x;
                kept[threadIdx.x] = i < plan.count ? plan.values[i] : 0.0f;
                __syncthreads();
                if (i < plan.count) {
                    plan.values[i] = __fadd_rn(kept[threadIdx.x], kept[threadIdx.x ^ 1]);
                }
            }
            """;

    @Test
    void saysWhatKernelsTakeOnEachGeneration() {
        var compiled = nvcc().compile(TEXT);
        assertThat(compiled.usages()).extracting(Usage::kernel).containsOnly("twice");
        assertThat(compiled.usages()).extracting(Usage::architecture).doesNotHaveDuplicates().contains("sm_80");
        assertThat(compiled.usages()).allSatisfy(usage -> {
            assertThat(usage.registers()).isBetween(4, 64);
            assertThat(usage.spillBytes()).isZero();
            assertThat(usage.sharedBytes()).isGreaterThanOrEqualTo(1024);
        });
    }

    @Test
    void takesWarningsForErrorsAndShowsTheLine() {
        var nvcc = nvcc();
        assertThatThrownBy(() -> nvcc.compile(TEXT.replace("long long i =", "int unused;\n    long long i =")))
                .isInstanceOf(AssertionError.class)
                .hasMessageContaining("unused")
                .hasMessageContaining("> 5      int unused;");
    }

    private static Nvcc nvcc() {
        Assumptions.assumeTrue(Nvcc.find().isPresent(), "nvcc is not installed");
        return Nvcc.find().get();
    }
}
