package dev.stepd.device.cpu;

import dev.stepd.codegen.cpu.Kernel;
import dev.stepd.expr.Order;
import dev.stepd.expr.ReduceOp;
import dev.stepd.expr.Type;
import dev.stepd.expr.stage.Stage;
import java.lang.foreign.MemorySegment;

/// One stage of a [TilePass]: runs its kernel over each run of a tile.
///
/// Folds come first among its outputs. Kernels write whole turns. Where runs are not whole turns, what is written past the end of one is overwritten by the
/// next: such outputs go to memory of the worker's own first, and to their places when all runs of the tile are done.
final class TileStage {
    private static final MemorySegment ALL = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);
    private static final long ROOM_BYTES = Order.LANES * Double.BYTES;

    private final Stage stage;
    private final Kernel kernel;
    private final TileRuns runs;
    private final TileAddresses addresses;
    private final int reads;
    private final ReduceOp[] ops;
    /// By output, within scratch memory: where values wait for their place, or partial results for being joined.
    private final long[] waiting;
    /// By worker: where they are to go.
    private final long[][] places;

    TileStage(Stage stage, Kernel kernel, TileRuns runs, TileAddresses addresses, TileMemory memory, int workers) {
        this.stage = stage;
        this.kernel = kernel;
        this.runs = runs;
        this.addresses = addresses;
        this.reads = stage.reads().size();
        int outputs = stage.outputs().size();
        this.ops = stage.outputs().stream()
                .filter(Stage.Fold.class::isInstance)
                .map(output -> ((Stage.Fold) output).op())
                .toArray(ReduceOp[]::new);
        this.waiting = new long[outputs];
        this.places = new long[workers][outputs];
        long used = ops.length * ROOM_BYTES;
        for (int i = 0; i < outputs; i++) {
            waiting[i] = used;
            used += i < ops.length ? memory.partialBytes() : memory.arrayBytes(stage.outputs().get(i).target());
        }
        memory.scratch(used);
    }

    TileAddresses addresses() {
        return addresses;
    }

    void run(Tile tile) {
        long length = runs.length(tile);
        addresses.place(tile, length);
        if (stage.folds()) {
            fold(tile, length);
        } else if (length > 0 && wholeTurns(length) == length && runs.indexes(tile) % Order.LANES == 0) {
            write(tile, length);
        } else {
            makeWait(tile);
            write(tile, length);
            put(tile);
        }
    }

    private static long wholeTurns(long count) {
        return (count + Order.LANES - 1) / Order.LANES * Order.LANES;
    }

    private void write(Tile tile, long length) {
        var at = addresses.of(tile.worker);
        long indexes = runs.indexes(tile);
        long done = length > 0 && !addresses.crosses() ? launch(tile, length, indexes / length, wholeTurns(length)) : 0;
        while (done < indexes) {
            long count = Math.min(length > 0 ? length : runs.next(tile, done), indexes - done);
            kernel.run(at, wholeTurns(count));
            if (done + count < indexes) {
                goOn(tile, done, count, length > 0);
            }
            done += count;
        }
    }

    /// Starts a kernel once for many runs; returns how many indexes they are.
    private long launch(Tile tile, long length, long count, long indexesEach) {
        if (count > 0) {
            kernel.run(addresses.of(tile.worker), indexesEach, addresses.steps(tile.worker), count);
            addresses.advance(tile.worker, count);
        }
        return length * count;
    }

    /// To the run after the one of `count` elements that begins at `done`.
    ///
    /// @param even whether runs are of one length
    private void goOn(Tile tile, long done, long count, boolean even) {
        if (even) {
            addresses.advance(tile.worker, 1);
        } else {
            addresses.advanceElements(tile.worker, count);
        }
        if (addresses.crosses()) {
            addresses.lookUp(tile, done, done + count);
        }
    }

    private void makeWait(Tile tile) {
        var at = addresses.of(tile.worker);
        long scratch = addresses.scratch(tile.worker);
        for (int i = 0; i < waiting.length; i++) {
            if (!addresses.isLocal(reads + i)) {
                places[tile.worker][i] = at[reads + i];
                at[reads + i] = scratch + waiting[i];
            }
        }
    }

    private void put(Tile tile) {
        long scratch = addresses.scratch(tile.worker);
        for (int i = 0; i < waiting.length; i++) {
            if (!addresses.isLocal(reads + i)) {
                var type = addresses.type(reads + i);
                long count = runs.indexes(tile);
                if (type == Type.I4 && count % 2 == 1) {
                    Partials.pad(scratch + waiting[i] + count / 2);
                }
                MemorySegment.copy(ALL, scratch + waiting[i], ALL, places[tile.worker][i], type.bytes(count));
            }
        }
    }

    private void fold(Tile tile, long length) {
        long count = runs.count(tile);
        long whole = length == 0 ? count : tile.count / length;
        long run = 0;
        if (length <= Order.CHUNK && !addresses.crosses()) {
            launch(tile, length, whole, length);
            run = whole;
        }
        for (long done = run * length; run < count; run++) {
            long here = Math.min(length, tile.count - done);
            foldRun(tile, here);
            if (run + 1 < count) {
                goOn(tile, done, here, true);
            }
            done += here;
        }
    }

    private void foldRun(Tile tile, long count) {
        if (count <= Order.CHUNK) {
            kernel.run(addresses.of(tile.worker), count);
        } else {
            foldChunks(tile, count);
        }
    }

    /// One run of several chunks.
    private void foldChunks(Tile tile, long count) {
        var at = addresses.of(tile.worker);
        var targets = places[tile.worker];
        long scratch = addresses.scratch(tile.worker);
        for (int i = 0; i < ops.length; i++) {
            targets[i] = at[reads + i];
            at[reads + i] = scratch + waiting[i];
        }
        for (long done = 0; done < count; done += Order.CHUNK) {
            kernel.run(at, Math.min(Order.CHUNK, count - done));
            addresses.advanceChunks(tile.worker, 1);
            for (int i = 0; i < ops.length; i++) {
                at[reads + i] += addresses.type(reads + i).bytes();
            }
        }
        long chunks = Order.chunks(count);
        addresses.advanceChunks(tile.worker, -chunks);
        for (int i = 0; i < ops.length; i++) {
            var type = addresses.type(reads + i);
            at[reads + i] = targets[i];
            Partials.set(type, targets[i],
                    Partials.joinPairwise(ops[i], type, scratch + waiting[i], type.bytes(), chunks));
        }
    }
}
