package dev.stepd.device.cuda;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import jcuda.CudaException;
import jcuda.driver.JCudaDriver;

/// JCuda's own native library, which comes in its archive and is loaded once.
///
/// JCuda first looks for it on `java.library.path`. Otherwise it writes it under a fixed name into `java.io.tmpdir`, or takes
/// what lies there by that name, whoever put it there and however much of it. So it is given a fresh folder that nobody else may
/// write, gone again when the library is loaded.
final class DriverNatives {
    private static final String TEMPORARY = "java.io.tmpdir";

    private DriverNatives() {}

    /// @throws MissingCuda with what to do about it
    static void load() {
        Once.WHY_NOT.ifPresent(reason -> {
            throw new MissingCuda(reason);
        });
    }

    /// A class that failed to load stays so; the reason is kept with it.
    private static final class Once {
        static final Optional<String> WHY_NOT = tryLoad();
    }

    private static Optional<String> tryLoad() {
        var usual = System.getProperty(TEMPORARY);
        var folder = ownFolder();
        try {
            folder.ifPresent(path -> System.setProperty(TEMPORARY, path.toString()));
            JCudaDriver.setExceptionsEnabled(false); // Cuda.check decides
            return Optional.empty();
        } catch (LinkageError | CudaException e) {
            return Optional.of("JCuda's native library did not load (" + innermost(e) + "); have -Djava.io.tmpdir name a folder"
                    + " that can be written and that is not mounted noexec, instead of " + usual);
        } finally {
            System.setProperty(TEMPORARY, usual);
            folder.ifPresent(DriverNatives::delete);
        }
    }

    private static Optional<Path> ownFolder() {
        try {
            return Optional.of(Files.createTempDirectory("stepd-cuda"));
        } catch (IOException e) {
            return Optional.empty(); // the library may still lie on java.library.path
        }
    }

    /// The lines that matter of JCuda's message, which holds two stack traces: what went wrong at last.
    private static String innermost(Throwable error) {
        return String.valueOf(error.getMessage()).lines()
                .filter(line -> line.contains("Exception: ") || line.contains("UnsatisfiedLinkError: "))
                .reduce((_, last) -> last)
                .orElse(error.toString())
                .strip();
    }

    private static void delete(Path folder) {
        try (var files = Files.list(folder)) {
            files.map(Path::toFile).forEach(File::delete);
            Files.deleteIfExists(folder);
        } catch (IOException | UncheckedIOException e) {
            // left behind in the temporary folder, as JCuda would have
        }
    }
}
