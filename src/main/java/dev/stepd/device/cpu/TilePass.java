package dev.stepd.device.cpu;

import dev.stepd.codegen.cpu.Kernel;
import dev.stepd.device.Domain;
import dev.stepd.device.Spans;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.Scope;
import dev.stepd.expr.stage.Phase;
import dev.stepd.expr.stage.Stage;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/// Stages that run one after the other for each tile of elements, which stays in a core's cache for that long. Threads take
/// stretches of tiles; each has its own copy of the arrays that live no longer than a tile.
///
/// Tensors whose rows are too long for a tile are left to passes over all memory.
final class TilePass extends Crew.Work implements BoundPhase {
    /// Elements of a tile, about: what one stage leaves is still in the nearest caches when the next one comes.
    static final long TILE_ELEMENTS = 16 * 1024;

    /// Units of one tensor, one after the other.
    private record Stretch(int tensor, long firstUnit, long units) {}

    private final Domain domain;
    private final Scope unit;
    private final List<Pass> passes;
    private final TileStage[] stages;
    private final Tile[] tiles;
    private final long workerBytes;
    private Stretch[] stretches = new Stretch[0];
    private boolean someByPass;

    /// @param passes the same stages for the tensors that are left to them
    TilePass(
            Phase.Tiling tiling,
            List<Pass> passes,
            Function<Stage, Kernel> kernels,
            Domain domain,
            Map<Buffer, Long> inBody,
            int workers) {
        this.domain = domain;
        this.unit = tiling.unit();
        this.passes = List.copyOf(passes);
        this.tiles = new Tile[workers];
        for (int worker = 0; worker < workers; worker++) {
            tiles[worker] = new Tile(worker);
        }
        long elements = 0;
        long rows = 0;
        for (var tensor : domain.tensors()) {
            if (isTiled(unit, tensor)) {
                long units = Math.min(units(tensor), unitsEach(tensor));
                elements = Math.max(elements, Math.min(units * unitElements(tensor), tensor.elements()));
                rows = Math.max(rows, unit.equals(Scope.ROW) ? units : 0);
            }
        }
        var memory = new TileMemory(elements, rows);
        tiling.locals().forEach(memory::add);
        this.stages = tiling.stages().stream()
                .map(stage -> {
                    var runs = new TileRuns(stage, domain, unit);
                    var addresses = new TileAddresses(stage, runs, domain, unit, memory, inBody, workers);
                    return new TileStage(stage, kernels.apply(stage), runs, addresses, memory, workers);
                })
                .toArray(TileStage[]::new);
        this.workerBytes = memory.bytes();
    }

    /// Whether tiles of a unit are short enough to be tiles.
    static boolean isTiled(Scope unit, Domain.Tensor tensor) {
        return !unit.equals(Scope.ROW) || tensor.columns() <= Phase.UNIT_ELEMENTS_MAX;
    }

    private long unitElements(Domain.Tensor tensor) {
        return switch (unit.kind()) {
            case ELEMENT -> 1;
            case BLOCK -> unit.size();
            case ROW -> tensor.columns();
            case SESSION, GROUP, TENSOR, COLUMN -> throw new IllegalStateException("tiles of " + unit);
        };
    }

    private long units(Domain.Tensor tensor) {
        return tensor.count(unit);
    }

    /// Units of a tile.
    private long unitsEach(Domain.Tensor tensor) {
        return Math.max(1, TILE_ELEMENTS / Math.max(1, unitElements(tensor)));
    }

    @Override
    public long roomBytes() {
        return Math.max(
                workerBytes * tiles.length, passes.stream().mapToLong(Pass::roomBytes).max().orElse(0));
    }

    @Override
    public long cut(Spans spans) {
        var cut = new ArrayList<Stretch>();
        var byPass = new ArrayList<Spans.Span>();
        for (var span : spans.spans()) {
            for (int tensor = span.from(); tensor < span.to(); tensor++) {
                if (isTiled(unit, domain.tensors().get(tensor))) {
                    cut(tensor, cut);
                } else {
                    byPass.add(new Spans.Span(tensor, tensor + 1));
                }
            }
        }
        stretches = cut.toArray(Stretch[]::new);
        someByPass = !byPass.isEmpty();
        return passes.stream().mapToLong(pass -> pass.cut(new Spans(byPass))).max().orElse(0);
    }

    /// Whole tiles, enough for each thread to stream through memory.
    private void cut(int position, List<Stretch> into) {
        var tensor = domain.tensors().get(position);
        long tileElements = Math.max(1, unitsEach(tensor) * unitElements(tensor));
        long grain = Math.ceilDiv(Pieces.grain(tensor.elements(), tiles.length), tileElements) * unitsEach(tensor);
        long units = units(tensor);
        for (long done = 0; done < units; done += grain) {
            into.add(new Stretch(position, done, Math.min(grain, units - done)));
        }
    }

    @Override
    public void bind(Map<Buffer, MemorySegment> arrays, MemorySegment room, MemorySegment partialResults) {
        for (var stage : stages) {
            stage.addresses().bind(arrays, room.address(), workerBytes);
        }
        for (var pass : passes) {
            pass.bind(arrays, room, partialResults);
        }
    }

    @Override
    public void run(Crew crew, long body) {
        for (var stage : stages) {
            stage.addresses().body(body);
        }
        crew.run(this, stretches.length);
        if (someByPass) {
            for (int i = 0; i < passes.size(); i++) {
                passes.get(i).run(crew, body);
            }
        }
    }

    @Override
    void piece(int index, int worker) {
        var stretch = stretches[index];
        var tensor = domain.tensors().get(stretch.tensor);
        long each = unitsEach(tensor);
        long length = unitElements(tensor);
        var tile = tiles[worker];
        tile.tensor = stretch.tensor;
        for (long done = 0; done < stretch.units; done += each) {
            tile.firstRow = stretch.firstUnit + done;
            tile.rows = Math.min(each, stretch.units - done);
            tile.first = tile.firstRow * length;
            tile.follows = done > 0;
            tile.count = Math.min(tile.rows * length, tensor.elements() - tile.first);
            for (var stage : stages) {
                stage.run(tile);
            }
        }
    }
}
