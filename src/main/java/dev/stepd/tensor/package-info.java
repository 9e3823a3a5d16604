/// Shapes, dtypes, the safetensors framing and views of off-heap memory.
///
/// Start at [TensorSpec]. Depends on `error` only.
@NullMarked
package dev.stepd.tensor;

import org.jspecify.annotations.NullMarked;
