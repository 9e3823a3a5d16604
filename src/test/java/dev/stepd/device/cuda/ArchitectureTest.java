package dev.stepd.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ArchitectureTest {
    /// What NVRTC of CUDA 12.0 compiles for, which knows Orin (8.7) but nothing after Hopper.
    private static final List<Integer> CUDA_12 = List.of(50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87, 89, 90);

    @ParameterizedTest
    @CsvSource({
        "90, sm_90", // its own
        "75, sm_75",
        "72, sm_72",
        "87, sm_87",
        "88, compute_86", // a module on a board: no other device's code
        "100, compute_90", // later than the compiler: the driver compiles
        "121, compute_90"
    })
    void isTheDevicesOwnOrWhatItRuns(int capability, String expected) {
        assertThat(Architecture.best(capability, CUDA_12)).hasToString(expected);
    }

    @Test
    void isAnEarlierSistersCodeWhereTheCompilerLacksTheDevice() {
        assertThat(Architecture.best(89, List.of(75, 80, 87, 90))).hasToString("sm_80");
        assertThat(Architecture.best(121, List.of(90, 100, 120))).hasToString("sm_120");
    }

    @Test
    void namesTheRemedyForDevicesThatTheCompilerHasLeftBehind() {
        assertThatThrownBy(() -> Architecture.best(70, List.of(75, 80, 90)))
                .isInstanceOf(MissingCuda.class)
                .hasMessage("NVRTC compiles for compute capability 7.5 and newer, the device has 7.0;"
                        + " install cuda-nvrtc of an earlier CUDA");
    }
}
