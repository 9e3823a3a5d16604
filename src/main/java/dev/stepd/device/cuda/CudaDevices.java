package dev.stepd.device.cuda;

import dev.stepd.codegen.cuda.CudaProgram;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// Opens the GPUs of a machine.
public final class CudaDevices {
    private static final Logger LOG = LoggerFactory.getLogger(CudaDevices.class);

    /// Of a device's memory, unless told otherwise: the driver, kernels' local memory and modules need some.
    private static final int BUDGET_PERCENT = 90;

    private CudaDevices() {}

    /// All that can be used; the caller closes them. A device that cannot be opened is told of in the log and left out.
    ///
    /// @param cache folder of compiled kernels, made when absent
    /// @param memoryBytes of each device for sessions; 90 % of it when absent
    /// @param pinnedBytes main memory for bodies on their way, of each device
    public static List<CudaDevice> open(CudaLibrary.Present library, Path cache, OptionalLong memoryBytes, long pinnedBytes) {
        return open(library, cache, memoryBytes, pinnedBytes, Tuning.DEFAULT);
    }

    static List<CudaDevice> open(
            CudaLibrary.Present library, Path cache, OptionalLong memoryBytes, long pinnedBytes, Tuning tuning) {
        var compiler = new ModuleCompiler(library.nvrtc(), new ModuleCache(cache, ModuleCache.BYTES_MAX), CudaProgram.VERSION);
        var devices = new ArrayList<CudaDevice>();
        for (var properties : library.devices()) {
            long budget = memoryBytes.orElse(properties.memoryBytes() / 100 * BUDGET_PERCENT);
            try {
                devices.add(new CudaDevice(properties, compiler, Math.min(budget, properties.memoryBytes()), pinnedBytes, tuning));
                LOG.info("cuda:{} is {}, compute capability {}.{}, {} MiB for sessions", properties.index(), properties.name(),
                        properties.capability() / 10, properties.capability() % 10, budget >> 20);
            } catch (CudaError | MissingCuda e) {
                LOG.warn("cuda:{} ({}) cannot be used: {}", properties.index(), properties.name(), e.getMessage());
            }
        }
        return devices;
    }
}
