package dev.stepd.device.cpu;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Order;
import dev.stepd.expr.Scope;
import java.util.HashMap;
import java.util.Map;

/// How the memory of one worker is laid out: an array for each local of a tile, then scratch that stages use one after
/// the other.
final class TileMemory {
    /// Arrays start this much apart modulo a page, so that the streams of a stage do not fall on the same cache sets.
    private static final long STAGGER_BYTES = 5 * 64;

    private final long elements;
    private final long rows;
    private final Map<Buffer, Long> offsets = new HashMap<>();
    private long localBytes;
    private long scratchBytes;

    /// @param elements of the largest tile
    /// @param rows of the tile with most
    TileMemory(long elements, long rows) {
        this.elements = elements;
        this.rows = rows;
    }

    void add(Buffer local) {
        offsets.put(local, localBytes);
        localBytes += arrayBytes(local);
    }

    boolean isLocal(Buffer buffer) {
        return offsets.containsKey(buffer);
    }

    long offset(Buffer local) {
        return offsets.get(local);
    }

    /// Makes sure of scratch memory; it begins at [#scratch], when all locals are known.
    void scratch(long bytes) {
        scratchBytes = Math.max(scratchBytes, bytes);
    }

    long scratch() {
        return localBytes;
    }

    /// Bytes of a tile's values of an array, and of as many as a kernel writes past them.
    long arrayBytes(Buffer buffer) {
        return aligned(buffer.storage().bytes(values(buffer.scope()) + Order.LANES)) + STAGGER_BYTES;
    }

    /// Bytes of the partial results of one fold: chunks of a run that is no longer than a tile.
    long partialBytes() {
        return aligned(Order.chunks(elements) * Double.BYTES);
    }

    private long values(Scope scope) {
        return switch (scope.kind()) {
            case ELEMENT -> elements;
            case BLOCK -> Math.ceilDiv(elements, scope.size());
            case ROW -> rows;
            case SESSION, GROUP, TENSOR, COLUMN -> throw new IllegalStateException("no tile has a " + scope);
        };
    }

    private static long aligned(long bytes) {
        return Math.ceilDiv(bytes, 64) * 64;
    }

    /// All of it.
    long bytes() {
        return aligned(localBytes + scratchBytes);
    }
}
