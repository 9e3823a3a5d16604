package dev.stepd.device.cpu;

import dev.stepd.device.Domain;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.Scope;
import dev.stepd.expr.stage.Stage;

/// Where the runs of a stage ([Stage#runs]) end within tiles.
final class TileRuns {
    private final Stage stage;
    private final Domain domain;
    private final Scope unit;
    /// `ROW` or a block, if a tile is a number of them; `TENSOR` if it is one run; `ELEMENT` if runs end wherever anything does.
    private final Scope each;
    private final int[] blocks;
    private final boolean rows;

    TileRuns(Stage stage, Domain domain, Scope unit) {
        this.stage = stage;
        this.domain = domain;
        this.unit = unit;
        this.each = each();
        this.blocks = stage.reads().stream()
                .map(Buffer::scope)
                .filter(scope -> scope.kind() == Scope.Kind.BLOCK)
                .mapToInt(Scope::size)
                .distinct()
                .toArray();
        this.rows = stage.reads().stream()
                .map(Buffer::scope)
                .anyMatch(scope -> scope.equals(Scope.ROW) || scope.equals(Scope.COLUMN));
    }

    private Scope each() {
        var runs = stage.runs();
        return switch (runs.kind()) {
            // Tiles begin with a block, or their runs end with each.
            case SESSION, GROUP, TENSOR ->
                stage.reads().stream().filter(stage::follows).allMatch(read -> divides(read.scope()))
                        ? Scope.TENSOR
                        : Scope.ELEMENT;
            case ROW -> unit.equals(Scope.ROW) ? runs : Scope.ELEMENT;
            case BLOCK -> divides(runs) ? runs : Scope.ELEMENT;
            case ELEMENT -> Scope.ELEMENT;
            case COLUMN -> throw new IllegalStateException("no runs of a " + runs + ": " + stage);
        };
    }

    private boolean divides(Scope block) {
        return unit.kind() == Scope.Kind.BLOCK && unit.size() % block.size() == 0;
    }

    /// Whether the values of a scope are one for each run.
    boolean areOf(Scope scope) {
        return each.equals(scope);
    }

    /// Whether an array that is coarser than the stage, but finer than a tensor, has to be looked up for each run.
    boolean cross(Scope scope) {
        boolean sameColumns = scope.equals(Scope.COLUMN) && each.equals(Scope.ROW)
                && domain.tensors().stream().allMatch(tensor -> tensor.slabs() <= 1);
        return !each.equals(scope) && !sameColumns;
    }

    /// Indexes of the stage's scope in a tile.
    long indexes(Tile tile) {
        var scope = stage.scope();
        return switch (scope.kind()) {
            case ELEMENT -> tile.count;
            case BLOCK -> Math.ceilDiv(tile.count, (long) scope.size());
            case ROW -> tile.rows;
            case SESSION, GROUP, TENSOR, COLUMN -> throw new IllegalStateException("tiles of " + stage);
        };
    }

    /// How long the runs of a tile are, the last one perhaps shorter; 0 if they differ.
    long length(Tile tile) {
        if (!stage.scope().isElement()) {
            return indexes(tile);
        }
        return switch (each.kind()) {
            case TENSOR -> tile.count;
            case ROW -> domain.tensors().get(tile.tensor).columns();
            case BLOCK -> each.size();
            default -> 0;
        };
    }

    /// How many runs of a fold a tile has.
    long count(Tile tile) {
        return each.equals(Scope.ROW) ? tile.rows : Math.ceilDiv(tile.count, length(tile));
    }

    /// How far the run goes that begins `done` elements into a tile, if nothing ends the tile before.
    long next(Tile tile, long done) {
        long within = tile.first + done;
        long next = Long.MAX_VALUE;
        for (int size : blocks) {
            next = Math.min(next, size - within % size);
        }
        if (rows) {
            long columns = domain.tensors().get(tile.tensor).columns();
            next = Math.min(next, columns - within % columns);
        }
        return next;
    }
}
