package dev.stepd.tensor;

/// A parameter array by name: what a session declares and a body must match.
public record TensorSpec(String name, Shape shape, DType dtype) {
    public long elementCount() {
        return shape.elementCount();
    }

    public long byteCount() {
        return Math.multiplyExact(shape.elementCount(), dtype.bytes());
    }
}
