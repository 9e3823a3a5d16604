package dev.stepd.device.cuda;

import dev.stepd.bench.Figure;
import dev.stepd.rule.Catalogue;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;

/// Every rule of the catalogue as it is by default, the slowest for what it moves first.
final class CatalogueFigures {
    private CatalogueFigures() {}

    static List<Figure> measure(CudaDevice device, GpuTimer timer, GpuSizes sizes, double ceiling) {
        var failed = new ArrayList<Figure>();
        var runs = new ArrayList<KernelRun>();
        for (var description : descriptions().subList(0, Math.min(sizes.rules(), descriptions().size()))) {
            var name = name(description);
            Attempt.at(name, failed, () -> runs.add(KernelRun.of(name, device, timer, description, sizes.medium())));
        }
        runs.sort(Comparator.comparingDouble(KernelRun::gigabytesPerSecond));
        var figures = new ArrayList<Figure>();
        runs.forEach(run -> figures.add(Figure.info("update of %,d parameters, %s".formatted(run.elements(), run.name()),
                run.each(ceiling) + "; " + run.kernelSummary())));
        figures.addAll(failed);
        return figures;
    }

    private static List<Map<String, Object>> descriptions() {
        var all = new ArrayList<Map<String, Object>>();
        Catalogue.rules().forEach(rule -> all.add(Map.of("name", rule.spec().name())));
        all.add(Map.of("name", "sgd", "momentum", 0.9));
        return all;
    }

    private static String name(Map<String, Object> description) {
        return description.get("name") + (description.size() == 1 ? "" : " momentum=" + description.get("momentum"));
    }
}
