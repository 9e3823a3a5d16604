package dev.stepd.tensor;

import java.lang.foreign.MemorySegment;

/// A named array in memory: a parameter (`w`) or a slot of one (`w#exp_avg`).
///
/// @param data exactly `shape.elementCount() * dtype.bytes()` bytes, owned by whoever handed the part out
public record Part(String key, DType dtype, Shape shape, MemorySegment data) {}
