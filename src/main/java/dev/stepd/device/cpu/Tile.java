package dev.stepd.device.cpu;

/// Where a worker is: a stretch of one tensor's elements. One for each worker, moved from tile to tile.
final class Tile {
    final int worker;
    /// Position of the tensor.
    int tensor;
    /// How far into the tensor the tile begins.
    long first;
    long count;
    /// The rows, where tiles are whole numbers of rows.
    long firstRow;
    long rows;
    /// Whether it follows upon another of the same stretch, which was as long as any.
    boolean follows;

    Tile(int worker) {
        this.worker = worker;
    }
}
