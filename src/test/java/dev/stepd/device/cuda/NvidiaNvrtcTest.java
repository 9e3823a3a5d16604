package dev.stepd.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/// NVIDIA's compiler where it is installed: it needs neither driver nor GPU.
class NvidiaNvrtcTest extends NvrtcConformance {
    private static final int ANY_DRIVER = 99_000;

    private static @Nullable Nvrtc nvrtc;

    @BeforeAll
    static void find() {
        try {
            nvrtc = NvrtcSearch.ofSystem().find(ANY_DRIVER);
        } catch (MissingCuda e) {
            System.out.println(e.sentence());
            Assumptions.abort(e.sentence());
        }
    }

    @Override
    Nvrtc nvrtc() {
        return Objects.requireNonNull(nvrtc);
    }

    @Test
    void givesPtxForDevicesLaterThanItself() {
        var later = Architecture.best(990, nvrtc().capabilities());
        assertThat(later.code()).isFalse();
        var ptx = nvrtc().compile("nothing", "extern \"C\" __global__ void nothing() {}", later).bytes();
        assertThat(new String(ptx, StandardCharsets.US_ASCII)).contains(".entry nothing").endsWith("\0");
    }
}
