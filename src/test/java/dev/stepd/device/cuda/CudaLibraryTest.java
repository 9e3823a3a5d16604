package dev.stepd.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.device.cuda.CudaLibrary.Absent;
import dev.stepd.device.cuda.CudaLibrary.Present;
import dev.stepd.device.cuda.NvrtcSearch.Wish;
import dev.stepd.device.cuda.shim.CudaShim;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// What a server is told of the machine it starts on.
class CudaLibraryTest {
    @BeforeEach
    @AfterEach
    void reset() {
        Assumptions.assumeTrue(CudaShim.available(), "there is no CUDA shim");
        CudaShim.load().reset();
    }

    private static String reason() {
        assertThat(CudaLibrary.find()).isInstanceOf(Absent.class);
        return ((Absent) CudaLibrary.find()).reason();
    }

    @Test
    void tellsWhatIsThere() {
        CudaShim.load().devices(2);
        CudaShim.load().memory(3L << 30);
        CudaShim.load().capability(86);
        var found = (Present) CudaLibrary.find();
        assertThat(found.driver()).isGreaterThanOrEqualTo(12000);
        assertThat(found.nvrtc().version()).isEqualTo(13000);
        assertThat(found.devices()).extracting(DeviceProperties::index).containsExactly(0, 1);
        assertThat(found.devices()).allSatisfy(device -> {
            assertThat(device.capability()).isEqualTo(86);
            assertThat(device.memoryBytes()).isEqualTo(3L << 30);
            assertThat(device.name()).isNotBlank();
            assertThat(device.multiprocessors()).isPositive();
            assertThat(device.threadsPerMultiprocessor()).isPositive();
            assertThat(device.sharedBytesPerBlock()).isGreaterThanOrEqualTo(48 << 10);
        });
    }

    @Test
    void saysThatThereIsNoDevice() {
        CudaShim.load().devices(0);
        assertThat(reason()).startsWith("the NVIDIA driver reports no device");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "34 | no NVIDIA driver: libcuda.so.1 is the toolkit's stub for linking; install the NVIDIA driver",
        "100 | the NVIDIA driver reports no device",
        "802 | the NVIDIA driver waits for a system service; start nvidia-fabricmanager",
        "803 | the NVIDIA driver's library and kernel module are of different versions, as after an update; restart the machine",
        "999 | the NVIDIA driver does not start (CUDA_ERROR_UNKNOWN); see whether nvidia-smi works",
        "3 | the NVIDIA driver does not start: cuInit answers CUDA_ERROR_NOT_INITIALIZED (3)"
    })
    void saysWhyTheDriverDoesNotStart(int result, String sentence) {
        CudaShim.load().failFrom("cuInit", 1, result);
        assertThat(reason()).startsWith(sentence);
    }

    @Test
    void saysWhichCallFailsLater() {
        CudaShim.load().failFrom("cuDeviceGetName", 1, 46);
        assertThat(reason()).startsWith("the NVIDIA driver does not work: cuDeviceGetName failed: CUDA_ERROR_DEVICE_UNAVAILABLE (46)");
    }

    @Test
    void saysThatThereIsNoCompiler() {
        var nowhere = new NvrtcSearch(Optional.of(new Wish(Path.of("/absent"), "the variable STEPD_NVRTC")),
                new NvrtcFolders(Path.of("/absent"), _ -> Optional.empty()), List.of());
        assertThat(CudaProbe.find(nowhere)).isEqualTo(new Absent("NVRTC was not found: the variable STEPD_NVRTC names /absent and"
                + " nothing there fits; install cuda-nvrtc of CUDA 12 or 13, or have STEPD_NVRTC name its file or folder"));
    }
}
