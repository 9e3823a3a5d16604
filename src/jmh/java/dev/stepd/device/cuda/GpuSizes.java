package dev.stepd.device.cuda;

import dev.stepd.tensor.Shape;

/// How much is measured.
///
/// @param large the matrix of the figures that are promised
/// @param medium the matrix that every rule of the catalogue is measured with
/// @param copyBytes of the copy that is the ceiling
/// @param sessions how many small ones step at once
/// @param sessionElements parameters of each
/// @param repeats of what a median is taken of
/// @param windowMillis how long small sessions are stepped
/// @param rules of the catalogue, at most
record GpuSizes(
        Shape large,
        Shape medium,
        long copyBytes,
        int sessions,
        int sessionElements,
        int repeats,
        long windowMillis,
        int rules) {
    static final GpuSizes FULL = new GpuSizes(
            Shape.of(100_000, 1000), Shape.of(16_000, 1000), 1L << 30, 1000, 10_000, 21, 2000, Integer.MAX_VALUE);
    /// As little as shows that all of it runs.
    static final GpuSizes QUICK = new GpuSizes(Shape.of(40, 1000), Shape.of(5, 1000), 1L << 20, 8, 200, 3, 50, 3);
}
