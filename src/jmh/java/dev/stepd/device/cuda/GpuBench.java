package dev.stepd.device.cuda;

import dev.stepd.bench.Figure;
import dev.stepd.bench.FigureTable;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.TimeUnit;

/// `./stepd bench --gpu [--quick]`: measures every figure that is promised of a GPU on this machine's first, prints them in one table
/// and leaves the same in `target/benchmarks-gpu.md`.
public final class GpuBench {
    private static final long PINNED_BYTES = 8L << 30;
    private static final Path HOME = Path.of(System.getProperty("stepd.home", "."));

    private GpuBench() {}

    public static void main(String[] args) {
        var arguments = List.of(args);
        if (!arguments.isEmpty() && !arguments.equals(List.of("--quick"))) {
            fail("bench --gpu takes --quick, not " + arguments, 2);
        }
        boolean quick = !arguments.isEmpty();
        switch (CudaLibrary.find()) {
            case CudaLibrary.Absent(var reason) -> fail("no GPU to measure: " + reason, 1);
            case CudaLibrary.Present library -> {
                var figures = measure(library, quick ? GpuSizes.QUICK : GpuSizes.FULL);
                System.exit(figures.stream().allMatch(Figure::passed) ? 0 : 1);
            }
        }
    }

    /// Small sizes promise nothing, but everything is to run.
    private static Figure promised(Figure figure, GpuSizes sizes) {
        return sizes == GpuSizes.QUICK && figure.target().isPresent() ? Figure.info(figure.name(), figure.measured()) : figure;
    }

    private static List<Figure> measure(CudaLibrary.Present library, GpuSizes sizes) {
        var conditions = conditions(library);
        System.out.println(conditions);
        var figures = new ArrayList<Figure>();
        var device = CudaDevices.open(library, HOME.resolve("target/cuda-modules"), OptionalLong.empty(), PINNED_BYTES).getFirst();
        try (var timer = new GpuTimer(device, sizes.repeats())) {
            double ceiling = UpdateFigures.copyGigabytesPerSecond(device, timer, sizes);
            figures.add(Figure.info("copy of %,d MiB within the device, read and written".formatted(sizes.copyBytes() >> 20),
                    "%,.0f GB/s".formatted(ceiling)));
            say("updates");
            figures.addAll(UpdateFigures.measure(device, timer, sizes, ceiling));
            say("steps");
            figures.addAll(StepFigures.measure(device, timer, sizes));
            say("small sessions");
            figures.addAll(SessionFigures.measure(device, sizes));
            figures.replaceAll(figure -> promised(figure, sizes));
            FigureTable.print(figures); // should the rest be cut short
            say("every rule");
            var rules = CatalogueFigures.measure(device, timer, sizes, ceiling);
            FigureTable.print(rules);
            figures.addAll(rules);
        }
        write("# Figures of a GPU\n\n" + conditions + "\n\n" + FigureTable.markdown(figures));
        return figures;
    }

    private static void say(String what) {
        System.err.println("stepd: measuring " + what);
    }

    private static void write(String page) {
        try {
            var file = Files.createDirectories(HOME.resolve("target")).resolve("benchmarks-gpu.md");
            Files.writeString(file, page);
            System.out.println("written to " + file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /// What the figures depend on besides the code.
    private static String conditions(CudaLibrary.Present library) {
        var device = library.devices().getFirst();
        return "%s (compute capability %d.%d, %d multiprocessors, %d MiB, L2 %d MiB), driver %s for CUDA %s, NVRTC %s, Java %s, %d cores, commit %s"
                .formatted(device.name(), device.capability() / 10, device.capability() % 10, device.multiprocessors(),
                        device.memoryBytes() >> 20, device.l2CacheBytes() >> 20, driver(), CudaProbe.version(library.driver()),
                        CudaProbe.version(library.nvrtc().version()), Runtime.version(),
                        Runtime.getRuntime().availableProcessors(), commit());
    }

    /// `580.159.04`.
    private static String driver() {
        try {
            var words = Files.readAllLines(Path.of("/proc/driver/nvidia/version")).getFirst().split("\\s+");
            for (var word : words) {
                if (word.matches("\\d+\\.\\d+(\\.\\d+)?")) {
                    return word;
                }
            }
            return "unknown";
        } catch (IOException e) {
            return "unknown";
        }
    }

    /// A bundle has it in a file.
    private static String commit() {
        try {
            var file = HOME.resolve("commit");
            if (Files.exists(file)) {
                return Files.readString(file).strip();
            }
            var process = new ProcessBuilder("git", "-C", HOME.toString(), "describe", "--always", "--dirty", "--abbrev=10")
                    .redirectError(ProcessBuilder.Redirect.DISCARD).start();
            var said = new String(process.getInputStream().readAllBytes()).strip();
            process.waitFor(10, TimeUnit.SECONDS);
            return said.isEmpty() ? "unknown" : said;
        } catch (IOException e) {
            return "unknown";
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    private static void fail(String message, int code) {
        System.err.println("stepd: " + message);
        System.exit(code);
    }
}
