package dev.stepd.device.cuda;

import dev.stepd.device.cuda.NativeLibrary.LoadException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// Which NVRTC of this machine is taken. It comes with the CUDA toolkit, the distribution or a Python wheel.
///
/// @param wished a file or folder that somebody named: then nothing else is considered
/// @param folders where it may be otherwise
/// @param loaded names that the loader is asked for at last
record NvrtcSearch(Optional<Wish> wished, NvrtcFolders folders, List<String> loaded) {
    /// @param setting what named it, for messages
    record Wish(Path path, String setting) {}

    private static final int OLDEST = 12000;
    private static final Pattern VERSION = Pattern.compile("\\.so\\.(\\d+)(?:\\.(\\d+))?");

    static NvrtcSearch ofSystem() {
        var wish = wish(System.getProperty("stepd.nvrtc"), "the property stepd.nvrtc")
                .or(() -> wish(System.getenv("STEPD_NVRTC"), "the variable STEPD_NVRTC"));
        Function<String, Optional<String>> environment = name -> Optional.ofNullable(System.getenv(name));
        return new NvrtcSearch(wish, new NvrtcFolders(Path.of("/"), environment),
                List.of("libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"));
    }

    private static Optional<Wish> wish(@Nullable String value, String setting) {
        return value == null || value.isBlank() ? Optional.empty() : Optional.of(new Wish(Path.of(value), setting));
    }

    /// The newest whose code the driver loads: of the driver's CUDA or an earlier one, else a later one of the same major version,
    /// whose machine code (though not whose PTX) the driver takes.
    ///
    /// @param driver version of CUDA up to which the driver goes
    /// @throws MissingCuda with where it was looked for and what else was there
    Nvrtc find(int driver) {
        var refused = new ArrayList<String>();
        return candidates(driver).flatMap(file -> load(file, driver, refused).stream()).findFirst()
                .orElseThrow(() -> new MissingCuda(sentence(driver, refused)));
    }

    /// Best first, as far as names tell versions.
    Stream<Path> candidates(int driver) {
        Stream<Path> files = wished
                .map(wish -> NvrtcFolders.under(wish.path).stream())
                .orElseGet(() -> folders.files().stream());
        var sorted = files.sorted(Comparator.comparing((Path file) -> version(file) > driver)
                .thenComparing(NvrtcSearch::version, Comparator.reverseOrder()));
        return wished.isPresent() ? sorted : Stream.concat(sorted, loaded.stream().map(Path::of));
    }

    /// @param refused gets what is wrong with a file; a name alone is only a guess
    private static Optional<Nvrtc> load(Path file, int driver, List<String> refused) {
        if (version(file) / 1000 > driver / 1000) {
            refuse(file, file + " is of CUDA " + version(file) / 1000, refused);
            return Optional.empty();
        }
        try {
            var nvrtc = new Nvrtc(file);
            if (nvrtc.version() >= OLDEST && nvrtc.version() / 1000 <= driver / 1000) {
                return Optional.of(nvrtc);
            }
            refuse(file, file + " is of CUDA " + CudaProbe.version(nvrtc.version()), refused);
        } catch (LoadException e) {
            refuse(file, e.getMessage(), refused);
        }
        return Optional.empty();
    }

    private static void refuse(Path file, String reason, List<String> refused) {
        if (file.isAbsolute()) {
            refused.add(reason);
        }
    }

    /// What the name says, 12060 for `libnvrtc.so.12.6.85`; as if of the oldest CUDA if it says nothing.
    private static int version(Path file) {
        var name = VERSION.matcher(file.getFileName().toString());
        if (!name.find()) {
            return OLDEST;
        }
        return Integer.parseInt(name.group(1)) * 1000 + (name.group(2) == null ? 0 : Integer.parseInt(name.group(2)) * 10);
    }

    private String sentence(int driver, List<String> refused) {
        var where = wished.map(wish -> wish.setting + " names " + wish.path + " and nothing there fits")
                .orElseGet(() -> "looked in " + folders.described() + " and where the loader does");
        var others = refused.isEmpty() ? "" : " (" + String.join("; ", refused) + ")";
        var newest = driver / 1000 == 12 ? "CUDA 12" : "CUDA 12 or 13";
        return "NVRTC was not found: " + where + others + "; install cuda-nvrtc of " + newest
                + ", or have STEPD_NVRTC name its file or folder";
    }
}
