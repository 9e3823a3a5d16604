package dev.stepd.device.cuda;

import dev.stepd.device.cuda.NativeLibrary.LoadException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;

/// Looks for the driver, its devices and the compiler, in an order in which nothing that is missing ends the process.
final class CudaProbe {
    /// The driver, by the name under which every installation has it.
    static final String DRIVER = "libcuda.so.1";

    /// CUDA 12.0: what `cuDriverGetVersion` says of driver 525, the first with every function that is called.
    static final int OLDEST_DRIVER = 12000;

    private CudaProbe() {}

    /// @param search where the compiler of kernels is looked for
    static CudaLibrary find(NvrtcSearch search) {
        try {
            int driver = startedDriver();
            var devices = devices();
            return new CudaLibrary.Present(driver, devices, search.find(driver));
        } catch (MissingCuda e) {
            return new CudaLibrary.Absent(e.sentence());
        } catch (CudaError e) {
            return new CudaLibrary.Absent("the NVIDIA driver does not work: " + e.getMessage());
        }
    }

    private static int startedDriver() {
        checkPlatform(System.getProperty("os.name"), System.getProperty("os.arch"));
        if (isPlainlyAbsent()) {
            throw noDriver(DRIVER + " was not found");
        }
        int driver = driverVersion();
        if (driver < OLDEST_DRIVER) {
            throw new MissingCuda("the NVIDIA driver goes up to CUDA " + version(driver) + "; install driver 525 or newer, for CUDA "
                    + version(OLDEST_DRIVER));
        }
        DriverNatives.load();
        int result = JCudaDriver.cuInit(0);
        if (result != CUresult.CUDA_SUCCESS) {
            throw new MissingCuda(whyNotStarted(result));
        }
        return driver;
    }

    /// @param system as the runtime names it
    static void checkPlatform(String system, String processor) {
        if (!system.equals("Linux") || !processor.equals("amd64")) {
            throw new MissingCuda("CUDA needs Linux on x86-64; this is " + system + " on " + processor.toLowerCase(Locale.ROOT));
        }
        if (Linker.nativeLinker().defaultLookup().find("gnu_get_libc_version").isEmpty()) {
            throw new MissingCuda("CUDA needs a Linux with glibc, and this one has another C library (Alpine's is musl);"
                    + " run stepd on Debian, Ubuntu, RHEL or the like");
        }
    }

    /// On a machine without any trace of NVIDIA's driver. Found out in the runtime's own way, which takes a millisecond and gives no
    /// reason; to ask the loader itself takes fifty, in every start of a server that has no GPU.
    private static boolean isPlainlyAbsent() {
        var paths = System.getenv().getOrDefault("LD_LIBRARY_PATH", "").split(":");
        if (Stream.of("/proc/driver/nvidia", "/dev/nvidiactl", "/dev/dxg").anyMatch(trace -> Files.exists(Path.of(trace)))
                || Stream.of(paths).anyMatch(path -> Files.exists(Path.of(path, DRIVER)))) {
            return false;
        }
        try (var arena = Arena.ofConfined()) {
            SymbolLookup.libraryLookup(DRIVER, arena);
            return false;
        } catch (IllegalArgumentException e) {
            return true;
        }
    }

    /// Asked before anything of JCuda is loaded: that would end the process at the first function that an old driver lacks.
    private static int driverVersion() {
        try {
            var call = NativeLibrary.open(DRIVER).bind("cuDriverGetVersion",
                    FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS));
            return ForeignNumber.getInt(place -> {
                int result = (int) call.invokeExact(place);
                if (result != CUresult.CUDA_SUCCESS) {
                    throw new MissingCuda(whyNotStarted(result));
                }
            });
        } catch (LoadException e) {
            throw noDriver(whyNotLoaded(e.getMessage()));
        }
    }

    private static MissingCuda noDriver(String why) {
        return new MissingCuda("no NVIDIA driver: " + why + "; install the NVIDIA driver (nvidia.com/drivers or your distribution's"
                + " package), in a container run with --gpus all and the NVIDIA container toolkit");
    }

    private static String whyNotLoaded(String reason) {
        return reason.contains("No such file") && reason.startsWith(DRIVER) ? DRIVER + " was not found" : reason;
    }

    private static String whyNotStarted(int result) {
        return switch (result) {
            case CUresult.CUDA_ERROR_NO_DEVICE -> noDevice();
            case CUresult.CUDA_ERROR_STUB_LIBRARY -> "no NVIDIA driver: " + DRIVER + " is the toolkit's stub for linking;"
                    + " install the NVIDIA driver and take the toolkit's stubs folder off LD_LIBRARY_PATH";
            case CUresult.CUDA_ERROR_SYSTEM_DRIVER_MISMATCH -> "the NVIDIA driver's library and kernel module are of different"
                    + " versions, as after an update; restart the machine";
            case CUresult.CUDA_ERROR_SYSTEM_NOT_READY -> "the NVIDIA driver waits for a system service; start"
                    + " nvidia-fabricmanager, which machines with NVSwitch need";
            case CUresult.CUDA_ERROR_UNKNOWN -> "the NVIDIA driver does not start (CUDA_ERROR_UNKNOWN); see whether nvidia-smi"
                    + " works, and load the kernel module nvidia_uvm";
            default -> "the NVIDIA driver does not start: cuInit answers " + CUresult.stringFor(result) + " (" + result + ")";
        };
    }

    private static String noDevice() {
        var visible = System.getenv("CUDA_VISIBLE_DEVICES");
        return visible == null
                ? "the NVIDIA driver reports no device; see what nvidia-smi -L lists"
                : "the NVIDIA driver reports no device with CUDA_VISIBLE_DEVICES=" + visible + "; unset it or name a device of"
                        + " nvidia-smi -L";
    }

    private static List<DeviceProperties> devices() {
        var count = new int[1];
        Cuda.check(JCudaDriver.cuDeviceGetCount(count), "cuDeviceGetCount");
        if (count[0] == 0) {
            throw new MissingCuda(noDevice());
        }
        return IntStream.range(0, count[0]).mapToObj(DeviceProperties::read).toList();
    }

    /// `12.6` for 12060.
    static String version(int number) {
        return number / 1000 + "." + number % 1000 / 10;
    }
}
