package dev.stepd.device.cuda;

import dev.stepd.bench.Figure;
import dev.stepd.engine.DeviceSubject;
import dev.stepd.engine.Engine;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/// Steps from main memory and back to it, against the copies alone.
final class StepFigures {
    private static final double COPY_RATIO_MAX = 1.15;

    private StepFigures() {}

    static List<Figure> measure(CudaDevice device, GpuTimer timer, GpuSizes sizes) {
        var figures = new ArrayList<Figure>();
        Attempt.at("step from pinned memory", figures, () -> update(device, timer, sizes, figures));
        Attempt.at("whole step, rejecting", figures, () -> step(device, timer, sizes, Engine.NonFinite.REJECT, figures));
        Attempt.at("whole step, propagating", figures, () -> step(device, timer, sizes, Engine.NonFinite.PROPAGATE, figures));
        return figures;
    }

    private static void update(CudaDevice device, GpuTimer timer, GpuSizes sizes, List<Figure> figures) {
        try (var subject = new DeviceSubject(device, Map.of("name", "adamw"), sizes.large(), Engine.NonFinite.REJECT)) {
            var image = (CudaBody) subject.body();
            long bytes = sizes.large().elementCount() * Float.BYTES;
            double in = timer.millis(_ -> {}, stream -> stream.copyIn(image.address(), subject.host().address(), bytes));
            double out = timer.millis(_ -> {}, stream -> stream.copyOut(subject.host().address(), image.address(), bytes));
            double all = timer.wallMillis(() -> {
                image.hold(subject.host()); // forgets what was fetched before
                subject.update().run(subject.spans(), image);
            });
            figures.add(Figure.info("copy of gradients in, of deltas out", "%.2f, %.2f ms; %.1f, %.1f GB/s"
                    .formatted(in, out, bytes / in / 1e6, bytes / out / 1e6)));
            figures.add(Figure.info("AdamW update of " + parameters(sizes) + " from pinned memory and back", "%.2f ms".formatted(all)));
            figures.add(Figure.atMost("  ratio to the longer copy", all / Math.max(in, out), COPY_RATIO_MAX, "x"));
        }
    }

    private static void step(CudaDevice device, GpuTimer timer, GpuSizes sizes, Engine.NonFinite policy, List<Figure> figures) {
        try (var subject = new DeviceSubject(device, Map.of("name", "adamw"), sizes.large(), policy)) {
            figures.add(Figure.info("whole AdamW step of " + parameters(sizes) + ", non-finite gradients " + policy.name().toLowerCase(),
                    "%.2f ms".formatted(timer.wallMillis(subject::step))));
        }
    }

    private static String parameters(GpuSizes sizes) {
        return "%,d parameters".formatted(sizes.large().elementCount());
    }
}
