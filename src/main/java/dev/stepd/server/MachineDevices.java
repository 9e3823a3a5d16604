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
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// What of the machine computes for a server: the processor, and the GPUs that can be used.
final class MachineDevices {
    private static final Logger LOG = LoggerFactory.getLogger(MachineDevices.class);

    private MachineDevices() {}

    /// Says in one line of the log why there is no GPU, if there is none and it was not asked for so.
    static Devices open(ServerSettings settings) {
        if (!settings.usesCuda()) {
            return processor(settings, "stepd was started with --cuda off; start it with --cuda auto");
        }
        return switch (CudaLibrary.find()) {
            case CudaLibrary.Absent(var reason) -> {
                LOG.info("sessions live on the processor: {}", reason);
                yield processor(settings, reason);
            }
            case CudaLibrary.Present library -> {
                var gpus = open(settings, library);
                yield gpus.isEmpty() ? processor(settings, "no GPU could be used; stepd's log of its start says why") : with(gpus, settings);
            }
        };
    }

    private static List<CudaDevice> open(ServerSettings settings, CudaLibrary.Present library) {
        var memory = settings.cudaMemory() != null ? OptionalLong.of(settings.cudaMemory()) : OptionalLong.empty();
        long pinnedEach = settings.pinnedBytes() / library.devices().size();
        return CudaDevices.open(library, settings.cudaCacheFolder(), memory, pinnedEach);
    }

    private static Devices with(List<CudaDevice> gpus, ServerSettings settings) {
        var all = new ArrayList<Device>();
        all.add(new CpuDevice(settings.memoryBesideCudaBytes(), settings.threadCount()));
        all.addAll(gpus);
        return new Devices(all, "");
    }

    private static Devices processor(ServerSettings settings, String withoutCuda) {
        return new Devices(List.of(new CpuDevice(settings.memoryBytes(), settings.threadCount())), withoutCuda);
    }
}
