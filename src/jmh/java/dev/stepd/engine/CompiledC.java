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
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/// The C loop of `src/jmh/c/<name>.c`, compiled for this machine when the benchmark starts.
final class CompiledC {
    /// No value differs for the last flag: `sqrtf` may leave `errno` alone, without which the loop is no vector code.
    static final List<String> FLAGS = List.of("-O3", "-march=native", "-fno-math-errno");

    /// The compiler may fuse a product and a sum in C, and its functions round otherwise: a few roundings more or less.
    private static final double TOLERANCE = 2e-5;
    /// The same, where a sum has lost its leading digits: a share of the largest value there is.
    private static final double CANCELLED = 1e-6;
    private static final List<String> COMPILERS = List.of("cc", "gcc", "clang");
    /// As `update.h` states it.
    private static final FunctionDescriptor TYPE = FunctionDescriptor.of(
            ValueLayout.JAVA_INT,
            ValueLayout.ADDRESS,
            ValueLayout.ADDRESS,
            ValueLayout.ADDRESS,
            ValueLayout.JAVA_LONG,
            ValueLayout.ADDRESS,
            ValueLayout.JAVA_INT);

    private final MethodHandle update;

    private CompiledC(MethodHandle update) {
        this.update = update;
    }

    /// Where the source of an update is; not every optimizer has one.
    static Path source(String name) {
        return Path.of(System.getProperty(KernelBenchmark.HOME), "src/jmh/c", name + ".c");
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

    static CompiledC compile(String compiler, String name) throws IOException {
        var folder = Files.createTempDirectory("stepd-bench");
        var library = folder.resolve(name + ".so");
        var command = new ArrayList<String>(List.of(compiler));
        command.addAll(FLAGS);
        command.addAll(List.of("-shared", "-fPIC", "-o", library.toString(), source(name).toString(), "-lm", "-lpthread"));
        try {
            if (run(command) != 0) {
                throw new IllegalStateException(command + " failed");
            }
            var symbols = SymbolLookup.libraryLookup(library, Arena.global());
            return new CompiledC(Linker.nativeLinker().downcallHandle(symbols.findOrThrow(name), TYPE));
        } finally {
            Files.deleteIfExists(library);
            Files.delete(folder);
        }
    }

    /// One update, in place.
    void update(Subject subject, int threads) {
        try {
            int error = (int) update.invokeExact(
                    subject.parameters(),
                    subject.gradients(),
                    subject.slotAddresses(),
                    subject.elements(),
                    subject.numbers(),
                    threads);
            if (error != 0) {
                throw new IllegalStateException("no thread for the C loop: errno " + error);
            }
        } catch (Throwable e) {
            throw new IllegalStateException("the C loop failed", e);
        }
    }

    /// Sees that C and generated code compute the same, from state that is not zero.
    void check(Subject small, int threads) {
        small.update();
        small.refill();
        var before = small.values();
        small.update();
        var ours = small.values();
        small.restore(before);
        update(small, threads);
        var theirs = small.values();
        for (int array = 0; array < ours.size(); array++) {
            double largest = Arrays.stream(ours.get(array)).map(Math::abs).max().orElse(0);
            for (int at = 0; at < ours.get(array).length; at++) {
                double mine = ours.get(array)[at];
                double other = theirs.get(array)[at];
                if (Math.abs(mine - other) > TOLERANCE * Math.abs(mine) + CANCELLED * largest) {
                    throw new IllegalStateException("array %d differs at %d: generated %s, C %s".formatted(array, at, mine, other));
                }
            }
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
