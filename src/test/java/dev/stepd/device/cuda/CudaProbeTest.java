package dev.stepd.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CudaProbeTest {
    @ParameterizedTest
    @CsvSource({"Mac OS X, aarch64", "Windows 11, amd64", "Linux, aarch64"})
    void otherPlatformsAreNamed(String system, String processor) {
        assertThatThrownBy(() -> CudaProbe.checkPlatform(system, processor))
                .hasMessage("CUDA needs Linux on x86-64; this is " + system + " on " + processor);
    }

    @Test
    void versionsReadAsPeopleWriteThem() {
        assertThat(CudaProbe.version(12060)).isEqualTo("12.6");
        assertThat(CudaProbe.version(13000)).isEqualTo("13.0");
        assertThat(CudaProbe.version(11080)).isEqualTo("11.8");
    }
}
