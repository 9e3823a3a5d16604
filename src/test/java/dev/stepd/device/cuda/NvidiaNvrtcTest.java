package dev.stepd.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.device.cuda.NvrtcSearch.Wish;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Function;
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
            nvrtc = search().find(ANY_DRIVER);
        } catch (MissingCuda e) {
            System.out.println(e.sentence());
            Assumptions.abort(e.sentence());
        }
    }

    /// Not by the property and not by name: tests that ran before may have put another there.
    private static NvrtcSearch search() {
        Function<String, Optional<String>> environment = name -> Optional.ofNullable(System.getenv(name));
        var wish = environment.apply("STEPD_NVRTC").map(path -> new Wish(Path.of(path), "the variable STEPD_NVRTC"));
        return new NvrtcSearch(wish, new NvrtcFolders(Path.of("/"), environment), List.of());
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
