package dev.stepd.device.cuda;

import dev.stepd.device.cuda.shim.CudaShim;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/// The CUDA device, all of it but the silicon: over a driver on the host, which compiles kernels with g++. With
/// `-Dstepd.test.cuda=real` (`./stepd test --gpu`) it is this machine's GPU instead, and the tests tagged `gpu` are held to that.
public final class ShimDevices {
    private static final long MEMORY_BYTES = 1L << 30;
    private static final long PINNED_BYTES_REAL = 8L << 30;
    private static final Path CACHE = Path.of("target/cuda-modules");

    private ShimDevices() {}

    /// One for the whole virtual machine, which nobody closes, or nothing where the shim cannot be had: the reason is printed.
    public static Optional<CudaDevice> shared() {
        return Shared.DEVICE;
    }

    private static final class Shared {
        static final Optional<CudaDevice> DEVICE =
                isReal() || CudaShim.available() ? Optional.of(open().getFirst()) : Optional.empty();
    }

    private static boolean isReal() {
        return "real".equals(System.getProperty("stepd.test.cuda"));
    }

    /// Fresh ones; the caller closes them.
    public static List<CudaDevice> open() {
        return open(Tuning.DEFAULT, MEMORY_BYTES);
    }

    /// Fresh ones with so much memory for sessions each.
    public static List<CudaDevice> open(long memoryBytes) {
        return open(Tuning.DEFAULT, memoryBytes);
    }

    /// Ones that launch every kernel by itself, and cut bodies of more than a few elements into chunks.
    public static List<CudaDevice> openInPieces() {
        return open(new Tuning(0, 256), MEMORY_BYTES);
    }

    private static List<CudaDevice> open(Tuning tuning, long memoryBytes) {
        if (!isReal()) {
            CudaShim.load();
        }
        return switch (CudaLibrary.find()) {
            case CudaLibrary.Present library when isReal() ->
                CudaDevices.open(library, CACHE, OptionalLong.empty(), PINNED_BYTES_REAL, tuning);
            case CudaLibrary.Present library ->
                CudaDevices.open(library, CACHE, OptionalLong.of(memoryBytes), MEMORY_BYTES, tuning);
            case CudaLibrary.Absent(var reason) -> throw new IllegalStateException(reason);
        };
    }
}
