package dev.stepd.device;

/// A stretch of a device's memory with one owner. Zero when handed out.
public interface Region extends AutoCloseable {
    /// The memory: at least as many bytes as were asked for.
    Array array();

    /// Gives the memory back. Further calls do nothing; the array must not be used afterwards.
    @Override
    void close();
}
