package dev.stepd.device.cuda;

import dev.stepd.device.cuda.shim.CudaShim;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/// The CUDA device, all of it but the silicon: over a driver on the host, which compiles kernels with g++.
public final class ShimDevices {
    private static final long MEMORY_BYTES = 1L << 30;
    private static final Path CACHE = Path.of("target/cuda-modules");

    private ShimDevices() {}

    /// One for the whole virtual machine, which nobody closes, or nothing where the shim cannot be had: the reason is printed.
    public static Optional<CudaDevice> shared() {
        return Shared.DEVICE;
    }

    private static final class Shared {
        static final Optional<CudaDevice> DEVICE = CudaShim.available() ? Optional.of(open().getFirst()) : Optional.empty();
    }

    /// Fresh ones; the caller closes them.
    public static List<CudaDevice> open() {
        return open(Tuning.DEFAULT);
    }

    /// Ones that launch every kernel by itself, and cut bodies of more than a few elements into chunks.
    public static List<CudaDevice> openInPieces() {
        return open(new Tuning(0, 256));
    }

    private static List<CudaDevice> open(Tuning tuning) {
        CudaShim.load();
        if (CudaLibrary.find() instanceof CudaLibrary.Present library) {
            return CudaDevices.open(library, CACHE, OptionalLong.of(MEMORY_BYTES), MEMORY_BYTES, tuning);
        }
        throw new IllegalStateException(CudaLibrary.find().toString());
    }
}
