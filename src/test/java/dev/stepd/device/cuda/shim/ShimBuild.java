package dev.stepd.device.cuda.shim;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;

/// Builds the shim's two libraries with g++, into `target/cuda-shim`, when their sources or the compiler changed.
final class ShimBuild {
    private static final Path SOURCES = Path.of("src/test/native/cuda").toAbsolutePath();
    private static final Path FOLDER = Path.of("target/cuda-shim").toAbsolutePath();
    private static final List<String> FLAGS = List.of(
            "-std=c++20", "-O2", "-Wall", "-Wextra", "-fPIC", "-shared", "-fvisibility=hidden", "-U_FORTIFY_SOURCE", "-Wl,-z,now");

    private ShimBuild() {}

    static Optional<String> obstacle() {
        if (!System.getProperty("os.name").equals("Linux") || !System.getProperty("os.arch").equals("amd64")) {
            return Optional.of("it runs on x86-64 Linux only, and this is %s on %s"
                    .formatted(System.getProperty("os.arch"), System.getProperty("os.name")));
        }
        if (!Files.isDirectory(SOURCES)) {
            return Optional.of("its sources are not at " + SOURCES);
        }
        return compilerVersion().isEmpty() ? Optional.of(compiler() + " is not there; install g++ 12 or newer") : Optional.empty();
    }

    /// @return where the libraries lie
    static Path build() {
        obstacle().ifPresent(reason -> {
            throw new IllegalStateException(reason);
        });
        try {
            Files.createDirectories(FOLDER);
            // other processes may be about to build it, too
            try (var file = FileChannel.open(FOLDER.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
                    var _ = file.lock()) {
                var stamp = FOLDER.resolve("built");
                var wanted = state();
                if (!Files.exists(stamp) || !Files.readString(stamp).equals(wanted)) {
                    Files.deleteIfExists(stamp);
                    compile("libnvrtc.so.13", List.of("nvrtc.cpp"));
                    compile("libcuda.so.1", driverSources());
                    Files.copy(SOURCES.resolve("device.h"), FOLDER.resolve("device.h"), StandardCopyOption.REPLACE_EXISTING);
                    Files.writeString(stamp, wanted);
                }
            }
            return FOLDER;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static List<String> driverSources() throws IOException {
        return sources().stream().map(path -> path.getFileName().toString())
                .filter(name -> name.endsWith(".cpp") && !name.equals("nvrtc.cpp")).toList();
    }

    private static List<Path> sources() throws IOException {
        try (var files = Files.list(SOURCES)) {
            return files.sorted().toList();
        }
    }

    private static void compile(String library, List<String> sources) throws IOException {
        // a process may have the one before loaded: it is replaced, not written to
        var made = FOLDER.resolve(library + ".new");
        var command = new ArrayList<>(List.of(compiler()));
        command.addAll(FLAGS);
        command.addAll(List.of("-Wl,-soname," + library, "-o", made.toString()));
        sources.forEach(name -> command.add(SOURCES.resolve(name).toString()));
        command.addAll(List.of("-ldl", "-lpthread"));
        var log = run(command).orElseThrow(() -> new IllegalStateException(compiler() + " cannot be run"));
        if (!Files.exists(made)) {
            throw new IllegalStateException("the shim's " + library + " does not compile:\n" + log);
        }
        Files.move(made, FOLDER.resolve(library), StandardCopyOption.ATOMIC_MOVE);
    }

    private static String state() throws IOException {
        try {
            var digest = MessageDigest.getInstance("SHA-256");
            for (var path : sources()) {
                digest.update(Files.readAllBytes(path));
            }
            digest.update((compilerVersion().orElseThrow() + FLAGS).getBytes());
            return HexFormat.of().formatHex(digest.digest());
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    private static String compiler() {
        return Optional.ofNullable(System.getenv("CXX")).filter(name -> !name.isBlank()).orElse("g++");
    }

    private static Optional<String> compilerVersion() {
        return run(List.of(compiler(), "--version")).map(text -> text.lines().findFirst().orElse(""));
    }

    /// What a command writes; empty if it cannot be started.
    private static Optional<String> run(List<String> command) {
        try {
            var process = new ProcessBuilder(command).redirectErrorStream(true).start();
            process.getOutputStream().close();
            var text = new String(process.getInputStream().readAllBytes());
            process.waitFor();
            return Optional.of(text);
        } catch (IOException e) {
            return Optional.empty();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }
}
