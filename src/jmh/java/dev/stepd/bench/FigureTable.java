package dev.stepd.bench;

import java.util.List;

/// Figures below one another.
public final class FigureTable {
    private FigureTable() {}

    public static void print(List<Figure> figures) {
        int width = figures.stream().mapToInt(figure -> figure.name().length()).max().orElse(0);
        for (var figure : figures) {
            System.out.printf("%-" + width + "s  %22s  %-18s %s%n",
                    figure.name(), figure.measured(), figure.target().orElse(""), figure.verdict());
        }
    }

    /// Lines for the page of benchmarks.
    public static String markdown(List<Figure> figures) {
        var text = new StringBuilder("| figure | measured | target |\n|---|---|---|\n");
        for (var figure : figures) {
            var missed = figure.passed() ? "" : " (missed)";
            text.append("| %s | %s | %s |%n".formatted(figure.name().strip(), figure.measured(), figure.target().orElse("") + missed));
        }
        return text.toString();
    }
}
