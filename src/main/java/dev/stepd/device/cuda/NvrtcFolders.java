package dev.stepd.device.cuda;

import java.io.IOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.regex.Pattern;

/// Where installations put NVRTC. Folders are listed, never walked: looking takes milliseconds.
///
/// @param root `/`, but for tests
/// @param environment variables of the process
record NvrtcFolders(Path root, Function<String, Optional<String>> environment) {
    private static final Pattern NAME = Pattern.compile("libnvrtc\\.so(\\.\\d+)*");

    /// Within an installation of the toolkit.
    private static final List<String> OF_TOOLKIT = List.of("lib64", "targets/x86_64-linux/lib", "lib");
    /// Within a folder of Python packages; CUDA 13's wheels share a folder.
    private static final List<String> OF_WHEELS = List.of("nvidia/cu13/lib", "nvidia/cuda_nvrtc/lib");
    private static final List<String> OF_SYSTEM = List.of("usr/lib/x86_64-linux-gnu", "usr/lib64", "usr/lib", "opt/cuda/lib64",
            "opt/cuda/targets/x86_64-linux/lib", "usr/local/lib", "usr/local/lib64");

    /// All that is there, each once.
    Set<Path> files() {
        var found = new LinkedHashSet<Path>();
        folders().forEach(folder -> addFiles(folder, found));
        return found;
    }

    /// A library, those in a folder, or those of a toolkit or environment installed there.
    static Set<Path> under(Path path) {
        var found = new LinkedHashSet<Path>();
        if (Files.isRegularFile(path)) {
            found.add(path.toAbsolutePath()); // whatever it is called
            return found;
        }
        addFiles(path, found);
        OF_TOOLKIT.forEach(lib -> addFiles(path.resolve(lib), found));
        OF_WHEELS.forEach(lib -> addFiles(path.resolve(lib), found));
        return found;
    }

    /// For people who look for it, too.
    String described() {
        return "CUDA_HOME, CUDA_PATH, LD_LIBRARY_PATH, /usr/local/cuda*, the distribution's folders, Python's packages";
    }

    private Set<Path> folders() {
        var folders = new LinkedHashSet<Path>();
        for (var variable : List.of("CUDA_HOME", "CUDA_PATH")) {
            environment.apply(variable).filter(value -> !value.isBlank()).map(Path::of)
                    .ifPresent(home -> OF_TOOLKIT.forEach(lib -> folders.add(home.resolve(lib))));
        }
        environment.apply("LD_LIBRARY_PATH").stream().flatMap(paths -> List.of(paths.split(":")).stream())
                .filter(path -> !path.isBlank()).forEach(path -> folders.add(Path.of(path)));
        for (var toolkit : list(root.resolve("usr/local"), "cuda*")) {
            OF_TOOLKIT.forEach(lib -> folders.add(toolkit.resolve(lib)));
        }
        OF_SYSTEM.forEach(lib -> folders.add(root.resolve(lib)));
        pythons().forEach(packages -> OF_WHEELS.forEach(lib -> folders.add(packages.resolve(lib))));
        environment.apply("CONDA_PREFIX").filter(value -> !value.isBlank()).ifPresent(conda -> folders.add(Path.of(conda, "lib")));
        return folders;
    }

    /// Folders of Python packages: of the active environment, the user and the system.
    private Set<Path> pythons() {
        var packages = new LinkedHashSet<Path>();
        var bases = new LinkedHashSet<Path>();
        for (var variable : List.of("VIRTUAL_ENV", "CONDA_PREFIX")) {
            environment.apply(variable).filter(value -> !value.isBlank()).ifPresent(value -> bases.add(Path.of(value, "lib")));
        }
        environment.apply("HOME").filter(value -> !value.isBlank()).ifPresent(home -> bases.add(Path.of(home, ".local/lib")));
        bases.add(root.resolve("usr/local/lib"));
        bases.add(root.resolve("usr/lib"));
        for (var base : bases) {
            for (var python : list(base, "python3*")) {
                packages.add(python.resolve("site-packages"));
                packages.add(python.resolve("dist-packages"));
            }
        }
        return packages;
    }

    private static void addFiles(Path folder, Set<Path> found) {
        for (var file : list(folder, "libnvrtc.so*")) {
            if (NAME.matcher(file.getFileName().toString()).matches()) {
                try {
                    found.add(file.toRealPath()); // names that link to one another are one library
                } catch (IOException e) {
                    // a link to nothing
                }
            }
        }
    }

    /// Entries of a folder, none if it is not there.
    private static List<Path> list(Path folder, String pattern) {
        try (var entries = Files.newDirectoryStream(folder, pattern)) {
            var list = new ArrayList<Path>();
            entries.forEach(list::add);
            list.sort(null);
            return list;
        } catch (IOException | DirectoryIteratorException e) {
            return List.of();
        }
    }
}
