package dev.stepd.device.cuda;

import dev.stepd.bench.Figure;
import java.util.List;
import java.util.Optional;

/// One measurement among many: time on a GPU is dear, and one that fails shall not cost the others.
final class Attempt {
    private Attempt() {}

    static void at(String name, List<Figure> figures, Runnable measurement) {
        try {
            measurement.run();
        } catch (RuntimeException e) {
            e.printStackTrace();
            figures.add(new Figure(name, "failed: " + e.getMessage(), Optional.empty(), false));
        }
    }
}
