package dev.stepd.bench;

import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import jdk.incubator.vector.FloatVector;

/// `./stepd bench`: measures every figure the project promises and prints them in one table.
public final class Bench {
    private static final Map<String, Supplier<List<Figure>>> SUITES = new LinkedHashMap<>();

    static {
        SUITES.put("kernel", KernelFigures::measure);
        SUITES.put("rules", RuleFigures::measure);
        SUITES.put("http", HttpFigures::measure);
        SUITES.put("journal", JournalFigures::measure);
        SUITES.put("snapshot", SnapshotFigures::measure);
        SUITES.put("start", StartFigures::measure);
    }

    private Bench() {}

    public static void main(String[] args) {
        var names = args.length == 0 ? List.copyOf(SUITES.keySet()) : List.of(args);
        for (var name : names) {
            if (!SUITES.containsKey(name)) {
                System.err.println("stepd: bench takes any of " + SUITES.keySet() + ", not " + name);
                System.exit(2);
            }
        }
        System.out.println(conditions());
        var figures = new ArrayList<Figure>();
        for (var name : names) {
            System.err.println("stepd: measuring " + name + ", for a few minutes");
            figures.addAll(SUITES.get(name).get());
        }
        FigureTable.print(figures);
        System.exit(figures.stream().allMatch(Figure::passed) ? 0 : 1);
    }

    /// What the figures depend on besides the code.
    private static String conditions() {
        var system = ManagementFactory.getOperatingSystemMXBean();
        return "Java %s, %d cores, vectors of %d bits, load %.1f".formatted(Runtime.version(),
                system.getAvailableProcessors(), FloatVector.SPECIES_PREFERRED.vectorBitSize(), system.getSystemLoadAverage());
    }
}
