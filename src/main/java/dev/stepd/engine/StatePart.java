package dev.stepd.engine;

import dev.stepd.device.Array;
import dev.stepd.device.HostArray;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.Part;
import dev.stepd.tensor.Shape;

/// A named array of a session's state, wherever that lives: a parameter (`w`) or a slot of one (`w#exp_avg`).
///
/// @param array exactly `shape.elementCount() * dtype.bytes()` bytes, owned by whoever handed the part out
public record StatePart(String key, DType dtype, Shape shape, Array array) {
    /// A part that lies in main memory.
    public static StatePart of(Part part) {
        return new StatePart(part.key(), part.dtype(), part.shape(), new HostArray(part.data()));
    }
}
