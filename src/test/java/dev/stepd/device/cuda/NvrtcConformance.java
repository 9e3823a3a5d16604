package dev.stepd.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

/// What every NVRTC does, NVIDIA's own and the one of these tests.
abstract class NvrtcConformance {
    private static final String TEXT = """
            struct Plan { float *values; long long count; float factor; };

            extern "C" __global__ void __launch_bounds__(256) scale(const __grid_constant__ Plan plan) {
                for (long long i = blockIdx.x * 256LL + threadIdx.x; i < plan.count; i += gridDim.x * 256LL) {
                    plan.values[i] = __fmul_rn(plan.values[i], plan.factor);
                }
            }
            """;

    abstract Nvrtc nvrtc();

    private Architecture hopper() {
        return Architecture.best(90, nvrtc().capabilities());
    }

    @Test
    void saysWhatItIs() {
        assertThat(nvrtc().version()).isBetween(12000, 20000);
        assertThat(nvrtc().capabilities()).contains(90);
        assertThat(hopper()).hasToString("sm_90");
    }

    @Test
    void compilesWithoutAWord() {
        var image = nvrtc().compile("scale", TEXT, hopper());
        assertThat(image.log()).isEmpty();
        assertThat(image.bytes()).startsWith(0x7f, 'E', 'L', 'F');
    }

    @Test
    void theSameTextGivesTheSameBytes() {
        var first = nvrtc().compile("scale", TEXT, hopper());
        assertThat(nvrtc().compile("scale", TEXT, hopper()).bytes()).isEqualTo(first.bytes());
    }

    @Test
    void errorsShowTheLine() {
        assertThatThrownBy(() -> nvrtc().compile("scale", TEXT.replace("plan.factor", "plan.factr"), hopper()))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageStartingWith("scale does not compile for sm_90 with NVRTC ")
                .hasMessageContaining("scale.cu")
                .hasMessageContaining("  3  extern")
                .hasMessageContaining("> 5          plan.values[i] = __fmul_rn(plan.values[i], plan.factr);")
                .hasMessageContaining("factr");
    }

    @Test
    void warningsAreTold() {
        var text = TEXT.replace("    for", "    int unused;\n    for");
        assertThat(nvrtc().compile("scale", text, hopper()).log()).contains("scale.cu").contains("unused");
    }

    @Test
    void architecturesItDoesNotKnowAreRefused() {
        assertThatThrownBy(() -> nvrtc().compile("scale", TEXT, new Architecture(13, true)))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageStartingWith("scale does not compile for sm_13 with NVRTC ");
    }
}
