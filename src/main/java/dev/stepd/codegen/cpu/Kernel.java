package dev.stepd.codegen.cpu;

/// A compiled pass. Stateless; any number of threads may run it over disjoint indexes.
@FunctionalInterface
public interface Kernel {
    /// Runs over `count` consecutive indexes of one run.
    ///
    /// The caller vouches for the addresses: memory outside a region is read up to 16 elements past the last index and never
    /// written. A pass that folds takes at most [dev.stepd.expr.Order#CHUNK] indexes and stores one f64 for each
    /// output; one that folds over columns takes a stretch of one row and joins it to f64 values already there.
    ///
    /// @param addresses of the first value of each array the stage reads, in its order, then of each output
    void run(long[] addresses, long count);
}
