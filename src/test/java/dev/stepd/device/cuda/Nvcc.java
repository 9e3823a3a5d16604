package dev.stepd.device.cuda;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/// NVIDIA's compiler of the CUDA toolkit, where there is one: compiles a text for every generation of GPUs with warnings as
/// errors, and says what each kernel takes. Needs no GPU. One to two seconds for a text of a few kernels and all
/// generations together, most of it nvcc's own start: put many kernels in one text.
///
/// It knows names that NVRTC does not (nvcc includes `cuda_runtime.h` by itself), so it does not show a text to be complete.
public final class Nvcc {
    /// Turing, Ampere, Hopper, Blackwell.
    private static final List<String> GENERATIONS = List.of("75", "80", "90", "100");

    private static final Pattern FUNCTION =
            Pattern.compile("Compiling entry function '(?<kernel>[^']+)' for '(?<architecture>[^']+)'"
                    + ".*?(?<stack>\\d+) bytes stack frame, (?<stores>\\d+) bytes spill stores, (?<loads>\\d+) bytes spill loads"
                    + ".*?Used (?<registers>\\d+) registers(?<rest>[^\\n]*)", Pattern.DOTALL);
    private static final Pattern SHARED = Pattern.compile("(\\d+) bytes smem");

    private final Path program;
    private final List<String> capabilities;

    private Nvcc(Path program, List<String> capabilities) {
        this.program = program;
        this.capabilities = capabilities;
    }

    /// What a kernel takes on one generation.
    ///
    /// @param architecture `sm_90`
    /// @param registers of a thread
    /// @param stackBytes of a thread, in memory, spilled registers among them
    /// @param spillBytes written and read because registers did not suffice
    /// @param sharedBytes that the text declares
    public record Usage(String kernel, String architecture, int registers, int stackBytes, int spillBytes, int sharedBytes) {}

    /// @param log all that the compiler said
    /// @param usages of each kernel on each generation
    public record Compiled(String log, List<Usage> usages) {
        public Compiled {
            usages = List.copyOf(usages);
        }
    }

    /// The one on PATH or in /usr/local/cuda; says on standard output why there is none, and which generations it lacks.
    public static Optional<Nvcc> find() {
        return Once.FOUND;
    }

    private static final class Once {
        static final Optional<Nvcc> FOUND = search();
    }

    private static Optional<Nvcc> search() {
        var folders = Stream.concat(
                Stream.of(Optional.ofNullable(System.getenv("PATH")).orElse("").split(File.pathSeparator)),
                Stream.of("/usr/local/cuda/bin"));
        var program = folders.filter(folder -> !folder.isBlank()).map(folder -> Path.of(folder, "nvcc"))
                .filter(Files::isExecutable).findFirst();
        if (program.isEmpty()) {
            System.out.println("nvcc is neither on PATH nor in /usr/local/cuda/bin: kernels are not compiled for real GPUs");
            return Optional.empty();
        }
        var known = run(List.of(program.get().toString(), "--list-gpu-code"));
        var capabilities = new ArrayList<String>();
        for (var capability : GENERATIONS) {
            if (known.output.lines().anyMatch(("sm_" + capability)::equals)) {
                capabilities.add(capability);
            } else {
                System.out.println(program.get() + " does not know sm_" + capability + ": kernels are not compiled for it");
            }
        }
        return capabilities.isEmpty() ? Optional.empty() : Optional.of(new Nvcc(program.get(), capabilities));
    }

    /// @param text what NVRTC would be given
    /// @throws AssertionError if there is an error or a warning, with the lines it is about
    public Compiled compile(String text) {
        try {
            var folder = Files.createTempDirectory("stepd-nvcc");
            try {
                return compile(text, Files.writeString(folder.resolve("kernels.cu"), text));
            } finally {
                try (var files = Files.list(folder)) {
                    files.map(Path::toFile).forEach(File::delete);
                }
                Files.delete(folder);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private Compiled compile(String text, Path file) {
        var command = new ArrayList<>(List.of(program.toString(), "-fatbin", "-std=c++17", "-fmad=false", "-Werror", "all-warnings",
                "-Xptxas", "-v", "-o", file.resolveSibling("kernels.fatbin").toString()));
        for (var capability : capabilities) {
            command.add("-gencode");
            command.add("arch=compute_" + capability + ",code=sm_" + capability);
        }
        command.add(file.toString());
        var result = run(command);
        if (result.exit != 0) {
            throw new AssertionError(String.join(" ", command) + " failed:\n" + CompilerLog.explain(result.output, text));
        }
        return new Compiled(result.output, FUNCTION.matcher(result.output).results().map(Nvcc::usage).toList());
    }

    private static Usage usage(MatchResult found) {
        var shared = SHARED.matcher(found.group("rest"));
        return new Usage(found.group("kernel"), found.group("architecture"), number(found, "registers"), number(found, "stack"),
                number(found, "stores") + number(found, "loads"), shared.find() ? Integer.parseInt(shared.group(1)) : 0);
    }

    private static int number(MatchResult found, String group) {
        return Integer.parseInt(found.group(group));
    }

    private record Result(int exit, String output) {}

    private static Result run(List<String> command) {
        try {
            var process = new ProcessBuilder(command).redirectErrorStream(true).start();
            process.getOutputStream().close();
            var output = new String(process.getInputStream().readAllBytes());
            if (!process.waitFor(10, TimeUnit.MINUTES)) {
                process.destroyForcibly();
                throw new AssertionError(command.getFirst() + " does not end");
            }
            return new Result(process.exitValue(), output);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }
}
