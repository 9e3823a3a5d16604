package dev.stepd.server;

import dev.stepd.device.Device;
import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.device.cuda.CudaDevice;
import dev.stepd.device.cuda.CudaDevices;
import dev.stepd.device.cuda.CudaLibrary;
import dev.stepd.engine.Devices;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// What of the machine computes for a server: the processor, and the GPUs that can be used. Looks for these on a thread of its own
/// from the start, so that a server on a machine without them is not later ready for it.
final class MachineDevices {
    private static final Logger LOG = LoggerFactory.getLogger(MachineDevices.class);
    private static final String OFF = "stepd was started with --cuda off; start it with --cuda auto";

    private final ServerSettings settings;
    private final CompletableFuture<CudaLibrary> library;

    MachineDevices(ServerSettings settings) {
        this.settings = settings;
        this.library = settings.usesCuda()
                ? CompletableFuture.supplyAsync(CudaLibrary::find, task -> Thread.ofPlatform().daemon().name("stepd-gpus").start(task))
                : CompletableFuture.completedFuture(new CudaLibrary.Absent(OFF));
    }

    /// Says in one line of the log why there is no GPU, if there is none and it was not asked for so.
    Devices open() {
        return switch (library.join()) {
            case CudaLibrary.Absent(var reason) -> {
                if (settings.usesCuda()) {
                    LOG.info("sessions live on the processor: {}", reason);
                }
                yield processor(reason);
            }
            case CudaLibrary.Present present -> {
                var gpus = gpus(present);
                yield gpus.isEmpty() ? processor("no GPU could be used; stepd's log of its start says why") : with(gpus);
            }
        };
    }

    private List<CudaDevice> gpus(CudaLibrary.Present present) {
        var memory = settings.cudaMemory() != null ? OptionalLong.of(settings.cudaMemory()) : OptionalLong.empty();
        long pinnedEach = settings.pinnedBytes() / present.devices().size();
        return CudaDevices.open(present, settings.cudaCacheFolder(), memory, pinnedEach);
    }

    private Devices with(List<CudaDevice> gpus) {
        var all = new ArrayList<Device>();
        all.add(new CpuDevice(settings.memoryBesideCudaBytes(), settings.threadCount()));
        all.addAll(gpus);
        return new Devices(all, "");
    }

    private Devices processor(String withoutCuda) {
        return new Devices(List.of(new CpuDevice(settings.memoryBytes(), settings.threadCount())), withoutCuda);
    }
}
