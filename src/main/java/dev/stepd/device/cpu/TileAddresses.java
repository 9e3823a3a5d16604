package dev.stepd.device.cpu;

import dev.stepd.device.Domain;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.Order;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
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
    private final Type[] types;
    /// By buffer: where each tensor's values begin, in bytes, or nothing for what is shared by tensors.
    private final long[][] starts;
    private final long[] inBody;
    private final boolean indexed;
    private final boolean[] local;
    private final boolean[] ofElements;
    private final boolean[] ofColumns;
    private final boolean[] ofRuns;
    /// Arrays whose values are found anew for each run.
    private final int[] crossing;
    /// Arrays of which tiles are no whole number of values.
    private final int[] uneven;
    private final long[] bases;
    /// By worker.
    private final long[] memories;
    private final long[][] addresses;
    private final long[][] steps;
    /// What the addresses are where a tile begins.
    private final long[][] beginnings;
    /// From tile to tile.
    private final long[][] strides;

    TileAddresses(
            Stage stage,
            TileRuns runs,
            Domain domain,
            Scope unit,
            TileMemory memory,
            Map<Buffer, Long> inBody,
            int workers) {
        this.domain = domain;
        this.unit = unit;
        this.memory = memory;
        this.buffers = buffers(stage);
        int count = buffers.size();
        this.types = new Type[count];
        this.starts = new long[count][];
        this.inBody = buffers.stream().mapToLong(buffer -> inBody.getOrDefault(buffer, -1L)).toArray();
        this.indexed = stage.readsIndex();
        this.local = new boolean[count];
        this.ofElements = new boolean[count];
        this.ofColumns = new boolean[count];
        this.ofRuns = new boolean[count];
        this.bases = new long[count];
        this.memories = new long[workers];
        this.addresses = new long[workers][count + 2 + APART];
        this.steps = new long[workers][count + 2 + APART];
        this.beginnings = new long[workers][count + 2];
        this.strides = new long[workers][count + 2];
        var crossing = new ArrayList<Integer>();
        var uneven = new ArrayList<Integer>();
        for (int i = 0; i < count; i++) {
            var scope = buffers.get(i).scope();
            types[i] = buffers.get(i).storage();
            local[i] = memory.isLocal(buffers.get(i));
            ofElements[i] = scope.isElement();
            ofColumns[i] = scope.equals(Scope.COLUMN);
            ofRuns[i] = runs.areOf(scope);
            boolean finer = Scope.TENSOR.coarserThan(scope);
            starts[i] = finer ? domain.byteStarts(buffers.get(i)) : new long[0];
            if (stage.scope().isElement() && finer && !scope.isElement() && runs.cross(scope)) {
                crossing.add(i);
            }
            if (finer && !isEven(scope)) {
                uneven.add(i);
            }
        }
        this.crossing = crossing.stream().mapToInt(i -> i).toArray();
        this.uneven = uneven.stream().mapToInt(i -> i).toArray();
    }

    /// Whether a tile is a whole number of values of a scope.
    private boolean isEven(Scope scope) {
        return switch (scope.kind()) {
            case ELEMENT -> true;
            case BLOCK -> unit.kind() == Scope.Kind.BLOCK && unit.size() % scope.size() == 0;
            case ROW -> unit.equals(Scope.ROW);
            case SESSION, GROUP, TENSOR, COLUMN -> false;
        };
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

    void body(long address) {
        for (int i = 0; i < bases.length; i++) {
            if (inBody[i] >= 0) {
                bases[i] = address + inBody[i];
            }
        }
    }

    boolean isLocal(int buffer) {
        return local[buffer];
    }

    Type type(int buffer) {
        return types[buffer];
    }

    /// Address of the scratch memory of a worker.
    long scratch(int worker) {
        return memories[worker] + memory.scratch();
    }

    /// The list to pass to the kernel.
    long[] of(int worker) {
        return addresses[worker];
    }

    /// What [#advance] adds to them.
    long[] steps(int worker) {
        return steps[worker];
    }

    /// Goes to the beginning of a tile.
    ///
    /// @param length of its runs, 0 if they differ
    void place(Tile tile, long length) {
        var at = addresses[tile.worker];
        var begins = beginnings[tile.worker];
        var stride = strides[tile.worker];
        if (tile.follows) {
            for (int i = 0; i < stride.length; i++) {
                begins[i] += stride[i];
            }
        } else {
            begin(tile, length);
        }
        if (tile.follows) {
            for (int i : uneven) {
                begins[i] = bases[i] + offset(i, tile);
            }
        }
        System.arraycopy(begins, 0, at, 0, begins.length);
    }

    /// Finds the first tile of a stretch.
    private void begin(Tile tile, long length) {
        var begins = beginnings[tile.worker];
        var step = steps[tile.worker];
        var stride = strides[tile.worker];
        for (int i = 0; i < bases.length; i++) {
            var scope = buffers.get(i).scope();
            begins[i] = local[i] ? memories[tile.worker] + bases[i] : bases[i] + offset(i, tile);
            step[i] = ofElements[i] ? types[i].bytes(length) : ofRuns[i] ? types[i].bytes() : 0;
            stride[i] = local[i] ? 0 : switch (scope.kind()) {
                case SESSION, GROUP, TENSOR, COLUMN -> 0;
                case ELEMENT -> types[i].bytes(tile.count);
                case ROW -> types[i].bytes() * tile.rows;
                case BLOCK -> types[i].bytes() * (tile.count / scope.size());
            };
        }
        begins[bases.length] = scratch(tile.worker);
        if (indexed) {
            begins[bases.length + 1] = domain.tensors().get(tile.tensor).origin() + tile.first;
            step[bases.length + 1] = length;
            stride[bases.length + 1] = tile.count;
        }
    }

    private long offset(int buffer, Tile tile) {
        return switch (buffers.get(buffer).scope().kind()) {
            case SESSION -> 0;
            case GROUP -> types[buffer].bytes() * domain.tensors().get(tile.tensor).group();
            case TENSOR -> types[buffer].bytes() * tile.tensor;
            case ROW, COLUMN, BLOCK, ELEMENT ->
                starts[buffer][tile.tensor] + types[buffer].bytes(within(buffer, tile, 0));
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
            case COLUMN -> {
                long columns = columns(tile);
                long slab = element / Math.max(1, domain.tensors().get(tile.tensor).rows() * columns);
                yield slab * columns + element % columns;
            }
            case SESSION, GROUP, TENSOR -> throw new IllegalStateException(scope + " within a tensor");
        };
    }

    private long columns(Tile tile) {
        return Math.max(1, domain.tensors().get(tile.tensor).columns());
    }

    /// Goes on by a number of runs of the same length.
    void advance(int worker, long runs) {
        var at = addresses[worker];
        var step = steps[worker];
        for (int i = 0; i < bases.length; i++) {
            at[i] += step[i] * runs;
        }
        at[bases.length + 1] += step[bases.length + 1] * runs;
    }

    /// Goes on to a run whose other arrays [#lookUp] finds.
    void advanceElements(int worker, long count) {
        var at = addresses[worker];
        for (int i = 0; i < bases.length; i++) {
            at[i] += ofElements[i] ? types[i].bytes(count) : 0;
        }
        at[bases.length + 1] += count;
    }

    /// Goes on within a run, along which columns change too.
    ///
    /// @param chunks whole ones, of a fold
    void advanceChunks(int worker, long chunks) {
        var at = addresses[worker];
        for (int i = 0; i < bases.length; i++) {
            at[i] += ofElements[i] || ofColumns[i] ? chunks * types[i].bytes(Order.CHUNK) : 0;
        }
        at[bases.length + 1] += chunks * Order.CHUNK;
    }

    boolean crosses() {
        return crossing.length > 0;
    }

    /// Finds what crosses the runs, from where it was to `done` elements into the tile.
    void lookUp(Tile tile, long before, long done) {
        var at = addresses[tile.worker];
        for (int i : crossing) {
            at[i] += (within(i, tile, done) - within(i, tile, before)) * types[i].bytes();
        }
    }
}
