package dev.stepd.rule;

import dev.stepd.expr.Interpreter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/// Two matrices, 3 x 2 and 2 x 2, and what their elements are parts of. How many there are of each part differs, so that an
/// array's length tells what it has one value for.
final class Grid {
    private static final int[] ROWS = {3, 2};
    private static final int[] COLUMNS = {2, 2};

    private record Cell(int session, int tensor, int row, int column, int element) {
        int of(String part) {
            return switch (part) {
                case "session" -> session;
                case "tensor" -> tensor;
                case "row" -> row;
                case "column" -> column;
                default -> element;
            };
        }
    }

    private final List<Cell> cells = new ArrayList<>();

    Grid() {
        int rows = 0;
        int columns = 0;
        for (int tensor = 0; tensor < ROWS.length; tensor++) {
            for (int i = 0; i < ROWS[tensor] * COLUMNS[tensor]; i++) {
                cells.add(new Cell(0, tensor, rows + i / COLUMNS[tensor], columns + i % COLUMNS[tensor], cells.size()));
            }
            rows += ROWS[tensor];
            columns += COLUMNS[tensor];
        }
    }

    List<Interpreter.Extent> extents(long step) {
        return List.of(new Interpreter.Extent(ROWS[0] * COLUMNS[0], ROWS[0], 0, true, step),
                new Interpreter.Extent(ROWS[1] * COLUMNS[1], ROWS[1], 0, true, step));
    }

    private int count(String part) {
        return 1 + cells.stream().mapToInt(cell -> cell.of(part)).max().orElseThrow();
    }

    private String part(int count) {
        return Stream.of("session", "tensor", "row", "column", "element")
                .filter(part -> count(part) == count)
                .findFirst()
                .orElseThrow(() -> new IllegalStateException(count + " values are of nothing"));
    }

    /// How many elements each of the parts has.
    double[] counts(String part) {
        var counts = new double[count(part)];
        cells.forEach(cell -> counts[cell.of(part)]++);
        return counts;
    }

    /// How many values arrays of these lengths make together.
    int common(int... counts) {
        var varied = Arrays.stream(counts).distinct().filter(count -> count > count("tensor")).toArray();
        return varied.length > 1 ? cells.size() : Arrays.stream(counts).max().orElseThrow();
    }

    /// Where a value of `length` has what the `i`-th of `count` needs.
    int index(int length, int i, int count) {
        return cells.stream().filter(cell -> cell.of(part(count)) == i).findFirst().orElseThrow().of(part(length));
    }

    /// The values within each of the parts, each once.
    List<double[]> parts(double[] values, String part) {
        var finer = part(values.length);
        var parts = new ArrayList<double[]>();
        for (int i = 0; i < count(part); i++) {
            int at = i;
            parts.add(cells.stream().filter(cell -> cell.of(part) == at)
                    .mapToInt(cell -> cell.of(finer)).distinct().mapToDouble(index -> values[index]).toArray());
        }
        return parts;
    }
}
