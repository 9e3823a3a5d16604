package dev.stepd.codegen.cpu;

/// A compiled pass. Stateless; any number of threads may run it over disjoint indexes.
public interface Kernel {
    /// Goes over runs of `count` consecutive indexes each, one after the other.
    ///
    /// The caller vouches for the addresses. A pass that writes takes a multiple of [dev.stepd.expr.Order#LANES] indexes. One
    /// that folds takes at most [dev.stepd.expr.Order#CHUNK], reads on to the next multiple, and stores one value for
    /// each output. One that folds over columns takes a row, rounded up to such a multiple, and joins it to as many
    /// values already there. One that sums up goes on from the sum it finds in its room, and leaves its own there.
    ///
    /// @param addresses of the first value of each array the stage reads, in its order, then of each output; then, of a fold or
    ///     a running sum, of room for [dev.stepd.expr.Order#LANES] f64 for each output; then, of a stage that reads the index, no address but
    ///     that index of its first element
    /// @param count of each run
    /// @param steps what to add to each address, and to the index, to come to the next run
    /// @param runs how many; more than one only of a stage whose runs are rows or blocks
    void run(long[] addresses, long count, long[] steps, long runs);

    /// One run.
    default void run(long[] addresses, long count) {
        run(addresses, count, addresses, 1);
    }
}
