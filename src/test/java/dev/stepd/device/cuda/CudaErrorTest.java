package dev.stepd.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CudaErrorTest {
    @ParameterizedTest
    @ValueSource(ints = {4, 214, 220, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 721, 911, 999})
    void whatLosesTheContextIsSticky(int number) {
        assertThat(new CudaError(number, "", "", "cuLaunchKernel").isSticky()).isTrue();
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 100, 200, 209, 218, 222, 400, 500, 600, 701, 720, 801, 900, 901, 908})
    void whatOnlyRefusesACallIsNot(int number) {
        assertThat(new CudaError(number, "", "", "cuLaunchKernel").isSticky()).isFalse();
    }

    @Test
    void saysCallNameAndNumber() {
        var error = new CudaError(2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory", "cuMemAlloc");
        assertThat(error).hasMessage("cuMemAlloc failed: CUDA_ERROR_OUT_OF_MEMORY (2), out of memory");
        assertThat(error.isOutOfMemory()).isTrue();
        assertThat(error.isSticky()).isFalse();
        assertThat(new CudaError(999, "CUDA_ERROR_UNKNOWN", "", "cuInit")).hasMessage("cuInit failed: CUDA_ERROR_UNKNOWN (999)");
    }
}
