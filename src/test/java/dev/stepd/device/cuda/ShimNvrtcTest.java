package dev.stepd.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.stepd.device.cuda.NvrtcSearch.Wish;
import dev.stepd.device.cuda.shim.CudaShim;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The binding against the compiler that stands in for NVIDIA's.
class ShimNvrtcTest extends NvrtcConformance {
    private static final int DRIVER = 13000;

    @BeforeEach
    @AfterEach
    void reset() {
        Assumptions.assumeTrue(CudaShim.available(), "there is no CUDA shim");
        CudaShim.load().reset();
    }

    @Override
    Nvrtc nvrtc() {
        return search().find(DRIVER);
    }

    private static NvrtcSearch search() {
        return new NvrtcSearch(Optional.of(new Wish(CudaShim.load().nvrtc(), "the property stepd.nvrtc")),
                new NvrtcFolders(Path.of("/absent"), _ -> Optional.empty()), List.of());
    }

    @Test
    void isFoundByTheProperty() {
        assertThat(NvrtcSearch.ofSystem().find(DRIVER).file()).isEqualTo(CudaShim.load().nvrtc());
    }

    @Test
    void oneForAnotherProcessorIsCalledThat(@TempDir Path folder) throws IOException {
        var library = Files.readAllBytes(CudaShim.load().nvrtc());
        library[18] = (byte) 183; // ELF's number of AArch64
        var arm = Files.write(folder.resolve("libnvrtc.so.13"), library);
        var search = new NvrtcSearch(Optional.of(new Wish(folder, "the variable STEPD_NVRTC")),
                new NvrtcFolders(folder, _ -> Optional.empty()), List.of());
        assertThatThrownBy(() -> search.find(DRIVER)).hasMessageContaining("(" + arm.toRealPath() + " is for another processor)");
    }

    @Test
    void anOldOneIsRefusedByWhatItSaysOfItself() {
        CudaShim.load().nvrtcVersion(11, 8);
        assertThatThrownBy(() -> search().find(DRIVER)).hasMessageContaining("is of CUDA 11.8");
    }

    @Test
    void aLaterOneOfTheDriversMajorVersionWillDo() {
        CudaShim.load().nvrtcVersion(13, 2);
        assertThat(search().find(DRIVER).version()).isEqualTo(13020);
        assertThatThrownBy(() -> search().find(12080)).hasMessageContaining("is of CUDA 13");
    }
}
