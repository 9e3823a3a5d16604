package dev.stepd.device.cuda;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import jcuda.CudaException;
import jcuda.JCudaVersion;
import jcuda.LibUtils;
import jcuda.driver.JCudaDriver;

/// JCuda's own native library, which comes in its archive and is loaded once.
///
/// It may lie on `java.library.path`. Otherwise JCuda writes it under a fixed name into `java.io.tmpdir`, or takes what lies there
/// by that name, whoever put it there and however much of it. So JCuda is given a fresh folder that nobody else may write, gone
/// again when the library is loaded.
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
        try {
            System.loadLibrary(LibUtils.createPlatformLibraryName("JCudaDriver-" + JCudaVersion.get()));
            JCudaDriver.setExceptionsEnabled(false); // Cuda.check decides
            return Optional.empty();
        } catch (LinkageError e) {
            return tryLoadFromArchive();
        }
    }

    private static Optional<String> tryLoadFromArchive() {
        var usual = System.getProperty(TEMPORARY);
        Path folder;
        try {
            folder = Files.createTempDirectory("stepd-cuda");
        } catch (IOException e) {
            return Optional.of(notLoaded(e.toString(), usual));
        }
        try {
            System.setProperty(TEMPORARY, folder.toString());
            JCudaDriver.setExceptionsEnabled(false);
            return Optional.empty();
        } catch (LinkageError | CudaException e) {
            return Optional.of(notLoaded(innermost(e), usual));
        } finally {
            System.setProperty(TEMPORARY, usual);
            delete(folder);
        }
    }

    private static String notLoaded(String reason, String folder) {
        var remedy = reason.contains("cannot open shared object file")
                ? "install the library it names (Debian has libstdc++.so.6 in libstdc++6)"
                : "have -Djava.io.tmpdir name a folder that can be written and is not mounted noexec, instead of " + folder;
        return "JCuda's native library did not load (" + reason + "); " + remedy;
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
