package dev.stepd.engine;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/// The C loop of `src/jmh/c/adamw.c`, compiled for this machine when the benchmark starts.
final class CompiledC {
    /// No value differs for the last flag: `sqrtf` may leave `errno` alone, without which the loop is no vector code.
    static final List<String> FLAGS = List.of("-O3", "-march=native", "-fno-math-errno");

    private static final List<String> COMPILERS = List.of("cc", "gcc", "clang");
    private static final FunctionDescriptor TYPE = FunctionDescriptor.of(
            ValueLayout.JAVA_INT,
            ValueLayout.ADDRESS,
            ValueLayout.ADDRESS,
            ValueLayout.ADDRESS,
            ValueLayout.ADDRESS,
            ValueLayout.JAVA_LONG,
            ValueLayout.ADDRESS,
            ValueLayout.JAVA_INT);

    private final MethodHandle adamw;

    private CompiledC(MethodHandle adamw) {
        this.adamw = adamw;
    }

    /// The first C compiler on the path.
    static Optional<String> compiler() {
        return COMPILERS.stream().filter(CompiledC::runs).findFirst();
    }

    private static boolean runs(String compiler) {
        try {
            return run(List.of(compiler, "--version")) == 0;
        } catch (IOException e) {
            return false;
        }
    }

    /// @param source `adamw.c`
    static CompiledC compile(String compiler, Path source) throws IOException {
        var folder = Files.createTempDirectory("stepd-bench");
        var library = folder.resolve("adamw.so");
        var command = new ArrayList<String>(List.of(compiler));
        command.addAll(FLAGS);
        command.addAll(List.of("-shared", "-fPIC", "-o", library.toString(), source.toString(), "-lm", "-lpthread"));
        try {
            if (run(command) != 0) {
                throw new IllegalStateException(command + " failed");
            }
            var symbols = SymbolLookup.libraryLookup(library, Arena.global());
            return new CompiledC(Linker.nativeLinker().downcallHandle(symbols.findOrThrow("adamw"), TYPE));
        } finally {
            Files.deleteIfExists(library);
            Files.delete(folder);
        }
    }

    /// One update, in place.
    void adamw(Subject subject, MemorySegment hyper, int threads) {
        try {
            int error = (int) adamw.invokeExact(
                    subject.parameters(),
                    subject.slot(0),
                    subject.slot(1),
                    subject.gradients(),
                    subject.elements(),
                    hyper,
                    threads);
            if (error != 0) {
                throw new IllegalStateException("no thread for the C loop: errno " + error);
            }
        } catch (Throwable e) {
            throw new IllegalStateException("the C loop failed", e);
        }
    }

    private static int run(List<String> command) throws IOException {
        var process = new ProcessBuilder(command).redirectErrorStream(true).start();
        var output = new String(process.getInputStream().readAllBytes());
        try {
            if (!process.waitFor(1, TimeUnit.MINUTES)) {
                throw new IOException(command + " does not end");
            }
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
        if (process.exitValue() != 0) {
            System.err.print(output);
        }
        return process.exitValue();
    }
}
