package dev.stepd.device.cuda;

import dev.stepd.bench.Figure;
import dev.stepd.engine.DeviceSubject;
import dev.stepd.engine.Engine;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/// Kernels of large updates against what a copy within the device reaches, and torch's.
final class UpdateFigures {
    private static final double ADAMW_SHARE_MIN = 0.9;
    private static final double CODED_SHARE_MIN = 0.8;
    private static final double REDUCING_SHARE_MIN = 0.7;
    private static final double TORCH_RATIO_MAX = 1;
    /// Rules with sums over the tensor, its rows or its columns before the update.
    private static final List<String> REDUCING = List.of("lamb", "novograd", "subset_norm", "scale", "nero", "adamp");

    private final CudaDevice device;
    private final GpuTimer timer;
    private final GpuSizes sizes;
    private final double ceiling;
    private final List<Figure> figures = new ArrayList<>();

    private UpdateFigures(CudaDevice device, GpuTimer timer, GpuSizes sizes, double ceiling) {
        this.device = device;
        this.timer = timer;
        this.sizes = sizes;
        this.ceiling = ceiling;
    }

    /// What a large copy within the device moves, reading and writing.
    static double copyGigabytesPerSecond(CudaDevice device, GpuTimer timer, GpuSizes sizes) {
        try (var from = device.memory().allocate(sizes.copyBytes(), "what is copied");
                var to = device.memory().allocate(sizes.copyBytes(), "a copy")) {
            var source = (CudaArray) from.array();
            RandomBytes.fill(source);
            double millis = timer.millis(_ -> {},
                    stream -> stream.copy(((CudaArray) to.array()).address(), source.address(), sizes.copyBytes()));
            return 2 * sizes.copyBytes() / millis / 1e6;
        }
    }

    static List<Figure> measure(CudaDevice device, GpuTimer timer, GpuSizes sizes, double ceiling) {
        var all = new UpdateFigures(device, timer, sizes, ceiling);
        all.adamw();
        all.share("AdamW, int8 slots", coded("int8"), CODED_SHARE_MIN);
        all.share("AdamW, bf16 slots", coded("bf16"), CODED_SHARE_MIN);
        all.info("AdamW, f16 slots", coded("f16"));
        all.info("AdamW, fp8 slots", coded("fp8"));
        all.info("AdamW, int4 slots", coded("int4"));
        REDUCING.forEach(name -> all.share(name, Map.of("name", name), REDUCING_SHARE_MIN));
        return all.figures;
    }

    private static Map<String, Object> coded(String format) {
        return Map.of("name", "adamw", "state", Map.of("format", format, "seed", 5));
    }

    private void adamw() {
        Attempt.at("AdamW f32", figures, () -> {
            try (var subject = new DeviceSubject(device, Map.of("name", "adamw"), sizes.large(), Engine.NonFinite.REJECT)) {
                var norm = KernelRun.measure(device, timer, subject);
                figures.add(Figure.info("gradient norm, " + parameters(), norm.speed() + "; " + norm.kernelList()));
                add("AdamW f32", KernelRun.update("AdamW f32", device, timer, subject), ADAMW_SHARE_MIN);
            }
            double ours = KernelRun.of("AdamW f32", device, timer, Map.of("name", "adamw"), sizes.large()).millis();
            switch (TorchAdamW.measure(sizes.large().elementCount(), sizes.repeats())) {
                case TorchAdamW.Measured(var version, var millis) -> {
                    figures.add(Figure.info("  torch " + version + " AdamW(fused=True)", "%.3f ms".formatted(millis)));
                    figures.add(Figure.atMost("  ratio to torch", ours / millis, TORCH_RATIO_MAX, "x"));
                }
                case TorchAdamW.Skipped(var reason) -> figures.add(Figure.info("  torch AdamW(fused=True)", "skipped: " + reason));
            }
        });
    }

    private String parameters() {
        return "%,d parameters".formatted(sizes.large().elementCount());
    }

    private void share(String name, Map<String, Object> description, double least) {
        Attempt.at(name, figures, () -> add(name, KernelRun.of(name, device, timer, description, sizes.large()), least));
    }

    private void add(String name, KernelRun run, double least) {
        figures.add(Figure.info(name + ", " + parameters(), run.speed() + "; " + run.kernelList()));
        figures.add(Figure.atLeast("  of a copy's bandwidth", run.gigabytesPerSecond() / ceiling, least, ""));
    }

    private void info(String name, Map<String, Object> description) {
        Attempt.at(name, figures, () -> {
            var run = KernelRun.of(name, device, timer, description, sizes.large());
            figures.add(Figure.info(name + ", " + parameters(), run.each(ceiling) + "; " + run.kernelList()));
        });
    }
}
