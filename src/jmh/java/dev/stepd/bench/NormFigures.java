package dev.stepd.bench;

import dev.stepd.engine.NormsTiming;
import java.util.ArrayList;
import java.util.List;

/// What `"metrics": "norms"` costs a step in process: the reason why it has to be asked for.
final class NormFigures {
    private static final List<String> OPTIMIZERS = List.of("sgd", "lion", "adamw", "adamw8bit");
    private static final long LARGE = 16_000_000;
    private static final long SMALL = 1_000_000;

    private NormFigures() {}

    static List<Figure> measure() {
        var figures = new ArrayList<Figure>();
        for (var optimizer : OPTIMIZERS) {
            figures.add(figure(optimizer, LARGE, 31));
            figures.add(figure(optimizer, SMALL, 301));
        }
        return figures;
    }

    private static Figure figure(String optimizer, long elements, int pairs) {
        return Figure.info("a step of %s over %d M parameters, with norms".formatted(optimizer, elements / 1_000_000),
                "%.2f times as long".formatted(NormsTiming.ratio(optimizer, elements, pairs)));
    }
}
