package dev.stepd.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.stepd.device.cuda.NvrtcSearch.Wish;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Files with the names of NVRTC and nothing in them: what is found, in which order, and what is said when none of it loads.
class NvrtcSearchTest {
    private static final int DRIVER = 12040;

    @TempDir
    private Path root;

    @BeforeEach
    void needsALoader() throws IOException {
        root = root.toRealPath();
        Assumptions.assumeTrue(System.getProperty("os.name").equals("Linux"), "only Linux has this NVRTC");
    }

    private Path file(String path) throws IOException {
        var file = root.resolve(path);
        Files.createDirectories(file.getParent());
        return Files.writeString(file, "not a library");
    }

    private NvrtcSearch search(Map<String, String> environment) {
        return new NvrtcSearch(Optional.empty(),
                new NvrtcFolders(root, name -> Optional.ofNullable(environment.get(name))), List.of());
    }

    @Test
    void takesTheNewestThatTheDriverKnowsFirst() throws IOException {
        var old = file("usr/local/cuda-12.2/targets/x86_64-linux/lib/libnvrtc.so.12.2.140");
        var later = file("usr/local/cuda-12.6/lib64/libnvrtc.so.12.6.85");
        var fits = file("usr/local/cuda-12.4/lib64/libnvrtc.so.12.4.127");
        var tooNew = file("usr/local/cuda-13.0/lib64/libnvrtc.so.13.0.88");
        assertThat(search(Map.of()).candidates(DRIVER)).containsExactly(fits, old, tooNew, later);
        assertThat(search(Map.of()).candidates(13020)).containsExactly(tooNew, later, fits, old);
    }

    @Test
    void looksWhereInstallationsPutIt() throws IOException {
        var files = List.of(
                file("home/cuda/lib64/libnvrtc.so.12.3.1"),
                file("path/libnvrtc.so.12.0.1"),
                file("usr/lib/x86_64-linux-gnu/libnvrtc.so.12.1.1"),
                file("usr/lib64/libnvrtc.so.12.2.1"),
                file("opt/cuda/lib64/libnvrtc.so.12.4.1"),
                file("venv/lib/python3.12/site-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.12"),
                file("me/.local/lib/python3.11/site-packages/nvidia/cu13/lib/libnvrtc.so.13"),
                file("usr/local/lib/python3.11/dist-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.12"),
                file("conda/lib/libnvrtc.so.12.3.2"));
        file("usr/lib64/libnvrtc-builtins.so.12.2.1");
        file("usr/lib64/libnvrtc.alt.so.12");
        file("usr/lib64/libnvrtc_static.a");
        var environment = Map.of(
                "CUDA_HOME", root + "/home/cuda",
                "CUDA_PATH", "",
                "LD_LIBRARY_PATH", root + "/absent::" + root + "/path",
                "VIRTUAL_ENV", root + "/venv",
                "HOME", root + "/me",
                "CONDA_PREFIX", root + "/conda");
        assertThat(search(environment).candidates(DRIVER)).containsExactlyInAnyOrderElementsOf(files);
    }

    @Test
    void namesOfOneFileAreOneCandidate() throws IOException {
        var file = file("usr/local/cuda-12.4/lib64/libnvrtc.so.12.4.127");
        Files.createSymbolicLink(file.resolveSibling("libnvrtc.so.12"), file.getFileName());
        Files.createSymbolicLink(file.resolveSibling("libnvrtc.so"), Path.of("libnvrtc.so.12"));
        Files.createSymbolicLink(file.resolveSibling("libnvrtc.so.11"), Path.of("gone"));
        Files.createSymbolicLink(root.resolve("usr/local/cuda"), Path.of("cuda-12.4"));
        assertThat(search(Map.of("CUDA_HOME", root + "/usr/local/cuda")).candidates(DRIVER)).containsExactly(file);
    }

    @Test
    void saysWhereItLookedAndWhatToInstall() {
        assertThatThrownBy(() -> search(Map.of()).find(DRIVER))
                .isInstanceOf(MissingCuda.class)
                .hasMessage("NVRTC was not found: looked in CUDA_HOME, CUDA_PATH, LD_LIBRARY_PATH, /usr/local/cuda*, the"
                        + " distribution's folders, Python's packages and where the loader does; install cuda-nvrtc of CUDA 12,"
                        + " or have STEPD_NVRTC name its file or folder");
    }

    @Test
    void saysWhyWhatItFoundDoesNotDo() throws IOException {
        var damaged = file("usr/lib64/libnvrtc.so.12");
        var tooNew = file("usr/lib64/libnvrtc.so.13.0.88");
        assertThatThrownBy(() -> search(Map.of()).find(DRIVER))
                .hasMessageContaining("(" + damaged + ": file too short; " + tooNew + " is of CUDA 13); install cuda-nvrtc of CUDA 12,");
        assertThatThrownBy(() -> search(Map.of()).find(13000)).hasMessageContaining("install cuda-nvrtc of CUDA 12 or 13,");
    }

    @Test
    void aWishIsAllThatCounts() throws IOException {
        file("usr/lib64/libnvrtc.so.12");
        var wished = file("mine/libnvrtc-patched.so");
        assertThat(wish(wished).candidates(DRIVER)).containsExactly(wished);
        assertThatThrownBy(() -> wish(wished).find(DRIVER))
                .hasMessage("NVRTC was not found: the variable STEPD_NVRTC names " + wished + " and nothing there fits (" + wished
                        + ": file too short); install cuda-nvrtc of CUDA 12, or have STEPD_NVRTC name its file or folder");
        assertThatThrownBy(() -> wish(root.resolve("absent")).find(DRIVER))
                .hasMessageContaining("STEPD_NVRTC names " + root.resolve("absent") + " and nothing there fits; install");
    }

    @Test
    void aWishedFolderMayBeAToolkit() throws IOException {
        var file = file("toolkit/targets/x86_64-linux/lib/libnvrtc.so.12.4.127");
        assertThat(wish(root.resolve("toolkit")).candidates(DRIVER)).containsExactly(file);
        assertThat(wish(file.getParent()).candidates(DRIVER)).containsExactly(file);
    }

    @Test
    void aLibraryThatIsSomethingElseIsToldApart() throws IOException {
        var libc = Files.exists(Path.of("/lib/x86_64-linux-gnu/libm.so.6")) ? Path.of("/lib/x86_64-linux-gnu/libm.so.6") : null;
        Assumptions.assumeTrue(libc != null, "there is no libm where Debian has it");
        assertThatThrownBy(() -> wish(libc).find(DRIVER)).hasMessageContaining("has no function nvrtcCreateProgram");
    }

    private NvrtcSearch wish(Path path) {
        return new NvrtcSearch(Optional.of(new Wish(path, "the variable STEPD_NVRTC")),
                new NvrtcFolders(root, _ -> Optional.empty()), List.of("libnvrtc.so.12"));
    }
}
