package dev.stepd.device.cpu;

import dev.stepd.device.Domain;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.Scope;
import dev.stepd.expr.stage.Stage;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/// The addresses a kernel takes, as a worker goes through the runs of a tile: arrays of whole tensors, and those that live in
/// the worker's memory no longer than a tile.
final class TileAddresses {
    /// Between the lists of two workers, which are written all the time.
    private static final int APART = 16;

    private final Domain domain;
    private final Scope unit;
    private final List<Buffer> buffers;
    private final TileMemory memory;
    private final long[] bytes;
    /// By buffer: the first index of each tensor, or nothing for what is shared by tensors.
    private final long[][] starts;
    private final boolean[] local;
    private final boolean[] ofElements;
    private final boolean[] ofColumns;
    private final boolean[] ofRuns;
    /// Arrays whose values are found anew for each run.
    private final int[] crossing;
    private final long[] bases;
    /// By worker.
    private final long[] memories;
    private final long[][] addresses;
    private final long[][] steps;

    TileAddresses(Stage stage, TileRuns runs, Domain domain, Scope unit, TileMemory memory, int workers) {
        this.domain = domain;
        this.unit = unit;
        this.memory = memory;
        this.buffers = buffers(stage);
        int count = buffers.size();
        this.bytes = new long[count];
        this.starts = new long[count][];
        this.local = new boolean[count];
        this.ofElements = new boolean[count];
        this.ofColumns = new boolean[count];
        this.ofRuns = new boolean[count];
        this.bases = new long[count];
        this.memories = new long[workers];
        this.addresses = new long[workers][count + 1 + APART];
        this.steps = new long[workers][count + APART];
        var crossing = new ArrayList<Integer>();
        for (int i = 0; i < count; i++) {
            var scope = buffers.get(i).scope();
            bytes[i] = buffers.get(i).storage().bytes();
            local[i] = memory.isLocal(buffers.get(i));
            ofElements[i] = scope.isElement();
            ofColumns[i] = scope.equals(Scope.COLUMN);
            ofRuns[i] = runs.areOf(scope);
            boolean finer = Scope.TENSOR.coarserThan(scope);
            starts[i] = finer ? domain.starts(scope) : new long[0];
            if (stage.scope().isElement() && finer && !scope.isElement() && runs.cross(scope)) {
                crossing.add(i);
            }
        }
        this.crossing = crossing.stream().mapToInt(i -> i).toArray();
    }

    private static List<Buffer> buffers(Stage stage) {
        var buffers = new ArrayList<>(stage.reads());
        stage.outputs().forEach(output -> buffers.add(output.target()));
        return List.copyOf(buffers);
    }

    /// @param room the workers' memories, end to end
    void bind(Map<Buffer, MemorySegment> arrays, long room, long workerBytes) {
        for (int worker = 0; worker < memories.length; worker++) {
            memories[worker] = room + worker * workerBytes;
        }
        for (int i = 0; i < bases.length; i++) {
            var array = arrays.get(buffers.get(i));
            bases[i] = local[i] ? memory.offset(buffers.get(i)) : array == null ? 0 : array.address();
        }
    }

    void gradients(long address) {
        for (int i = 0; i < bases.length; i++) {
            var kind = buffers.get(i).kind();
            if (kind == Buffer.Kind.GRAD || kind == Buffer.Kind.DELTA) {
                bases[i] = address;
            }
        }
    }

    boolean isLocal(int buffer) {
        return local[buffer];
    }

    long bytes(int buffer) {
        return bytes[buffer];
    }

    /// Address of the scratch memory of a worker.
    long scratch(int worker) {
        return memories[worker] + memory.scratch();
    }

    /// The list to pass to the kernel.
    long[] of(int worker) {
        return addresses[worker];
    }

    /// Goes to the beginning of a tile.
    ///
    /// @param length of its runs, 0 if they differ
    void place(Tile tile, long length) {
        var at = addresses[tile.worker];
        var step = steps[tile.worker];
        for (int i = 0; i < bases.length; i++) {
            at[i] = local[i] ? memories[tile.worker] + bases[i] : bases[i] + index(i, tile) * bytes[i];
            step[i] = ofElements[i] ? length * bytes[i] : ofRuns[i] ? bytes[i] : 0;
        }
        at[bases.length] = scratch(tile.worker);
    }

    private long index(int buffer, Tile tile) {
        return switch (buffers.get(buffer).scope().kind()) {
            case SESSION -> 0;
            case GROUP -> domain.tensors().get(tile.tensor).group();
            case TENSOR -> tile.tensor;
            case ROW, COLUMN, BLOCK, ELEMENT -> starts[buffer][tile.tensor] + within(buffer, tile, 0);
        };
    }

    /// The index within the tensor.
    private long within(int buffer, Tile tile, long done) {
        var scope = buffers.get(buffer).scope();
        long element = tile.first + done;
        return switch (scope.kind()) {
            case ELEMENT -> element;
            case BLOCK -> element / scope.size();
            case ROW -> unit.equals(Scope.ROW) && done == 0 ? tile.firstRow : element / columns(tile);
            case COLUMN -> element % columns(tile);
            case SESSION, GROUP, TENSOR -> throw new IllegalStateException(scope + " within a tensor");
        };
    }

    private long columns(Tile tile) {
        return Math.max(1, domain.tensors().get(tile.tensor).columns());
    }

    /// Goes to the next run of the same length.
    void advance(int worker) {
        var at = addresses[worker];
        var step = steps[worker];
        for (int i = 0; i < bases.length; i++) {
            at[i] += step[i];
        }
    }

    /// Goes on to a run whose other arrays [#lookUp] finds.
    void advanceElements(int worker, long count) {
        var at = addresses[worker];
        for (int i = 0; i < bases.length; i++) {
            at[i] += ofElements[i] ? count * bytes[i] : 0;
        }
    }

    /// Goes on within a run, along which columns change too.
    void advanceWithin(int worker, long count) {
        var at = addresses[worker];
        for (int i = 0; i < bases.length; i++) {
            at[i] += ofElements[i] || ofColumns[i] ? count * bytes[i] : 0;
        }
    }

    boolean crosses() {
        return crossing.length > 0;
    }

    /// Finds what crosses the runs, from where it was to `done` elements into the tile.
    void lookUp(Tile tile, long before, long done) {
        var at = addresses[tile.worker];
        for (int i : crossing) {
            at[i] += (within(i, tile, done) - within(i, tile, before)) * bytes[i];
        }
    }
}
