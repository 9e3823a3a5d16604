package dev.stepd.device.cuda;

/// Compiled kernels, as the driver loads them.
final class ModuleImage {
    private final byte[] bytes;
    private final String log;

    /// @param bytes a cubin, or PTX that ends with a zero byte; given away
    /// @param log what the compiler had to say: empty if there was nothing to warn of
    ModuleImage(byte[] bytes, String log) {
        this.bytes = bytes;
        this.log = log;
    }

    /// Not to be changed.
    byte[] bytes() {
        return bytes;
    }

    /// Empty, too, for an image from the cache.
    String log() {
        return log;
    }
}
