package dev.stepd.device.cuda.shim;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import jcuda.driver.JCudaDriver;

/// The CUDA driver and NVRTC on the host. One for the whole virtual machine: JCuda's natives bind to it when it is
/// loaded before they are.
///
/// A whole process runs with it when its environment says
/// `LD_LIBRARY_PATH=<folder> STEPD_NVRTC=<folder>/libnvrtc.so.13`; see [#environment()]. There, `STEPD_SHIM_DEVICES`,
/// `STEPD_SHIM_MEMORY` (bytes), `STEPD_SHIM_CAPABILITY` (90), `STEPD_SHIM_SEED` and `STEPD_SHIM_IDLE_MICROS` set what the
/// methods here set.
public final class CudaShim {
    private static final Object LOCK = new Object();
    private static CudaShim loaded;
    /// Why it cannot be had: found out once, not by each test anew.
    private static RuntimeException failed;

    private final Path folder;
    private final SymbolLookup driver;
    private final SymbolLookup nvrtc;

    private CudaShim(Path folder) {
        this.folder = folder;
        // by its name of version 1 it is what the natives ask for when they are loaded later
        System.load(folder.resolve("libcuda.so.1").toString());
        driver = SymbolLookup.libraryLookup(folder.resolve("libcuda.so.1"), Arena.global());
        nvrtc = SymbolLookup.libraryLookup(nvrtc(), Arena.global());
        var before = calls("cuDriverGetVersion");
        JCudaDriver.cuDriverGetVersion(new int[1]);
        if (calls("cuDriverGetVersion") == before) {
            throw new IllegalStateException("JCuda's natives were bound to another driver before the shim was loaded");
        }
    }

    /// Whether the shim can be had here; prints why not, so that tests may skip.
    public static boolean available() {
        var obstacle = obstacle();
        obstacle.ifPresent(reason -> System.out.println("no CUDA shim: " + reason));
        return obstacle.isEmpty();
    }

    /// What keeps the shim from being built here.
    public static Optional<String> obstacle() {
        return ShimBuild.obstacle();
    }

    /// Builds the shim if its sources changed, loads it, and has production code find its NVRTC.
    ///
    /// @throws IllegalStateException if it cannot be had here
    public static CudaShim load() {
        synchronized (LOCK) {
            if (failed != null) {
                throw failed;
            }
            if (loaded == null) {
                try {
                    loaded = new CudaShim(ShimBuild.build());
                } catch (RuntimeException e) {
                    failed = e;
                    throw e;
                }
                System.setProperty("stepd.nvrtc", loaded.nvrtc().toString());
            }
            return loaded;
        }
    }

    public Path nvrtc() {
        return folder.resolve("libnvrtc.so.13");
    }

    /// What another process's environment must say for it to run on the shim.
    public Map<String, String> environment() {
        return Map.of("LD_LIBRARY_PATH", folder.toString(), "STEPD_NVRTC", nvrtc().toString());
    }

    /// The `after`-th call from now on (1: the next) of a function, named without `_v2`, returns this error, once.
    public void failOnce(String function, int after, int error) {
        fail(function, after, error, 0);
    }

    /// The `after`-th call from now on of a function returns this error, and so do all that follow.
    public void failFrom(String function, int after, int error) {
        fail(function, after, error, 1);
    }

    private void fail(String function, int after, int error, int sticky) {
        try (var arena = Arena.ofConfined()) {
            var handle = handle(driver, "shimFail", null, ValueLayout.ADDRESS, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT,
                    ValueLayout.JAVA_INT);
            handle.invoke(arena.allocateFrom(function), after, error, sticky);
        } catch (Throwable t) {
            throw new IllegalStateException(t);
        }
    }

    /// How often a function, named without `_v2`, was called since the shim was loaded or reset.
    public long calls(String function) {
        try (var arena = Arena.ofConfined()) {
            return (long) handle(driver, "shimCalls", ValueLayout.JAVA_LONG, ValueLayout.ADDRESS).invoke(arena.allocateFrom(function));
        } catch (Throwable t) {
            throw new IllegalStateException(t);
        }
    }

    /// How much memory each device has.
    public void memory(long bytes) {
        set("shimSetMemory", bytes);
    }

    public void devices(int count) {
        set("shimDevices", count);
    }

    /// The devices' compute capability: 90 is 9.0.
    public void capability(int capability) {
        set("shimCapability", capability);
    }

    /// What the order of streams, blocks and threads is drawn from.
    public void seed(long seed) {
        set("shimSeed", seed);
    }

    /// How long the device waits for the host's next word before it goes on by itself; below 0: it only ever does what
    /// somebody waits for.
    public void idleMicros(long micros) {
        set("shimIdleMicros", micros);
    }

    /// What nvrtcVersion says from now on.
    public void nvrtcVersion(int major, int minor) {
        try {
            handle(nvrtc, "shimNvrtcVersion", null, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT).invoke(major, minor);
        } catch (Throwable t) {
            throw new IllegalStateException(t);
        }
    }

    /// How many allocations (of the device, pinned, registered), streams, events, modules and graphs live.
    public long balance() {
        try {
            return (long) handle(driver, "shimBalance", ValueLayout.JAVA_LONG).invoke();
        } catch (Throwable t) {
            throw new IllegalStateException(t);
        }
    }

    /// What the shim said about the latest error it found, or "".
    public String message() {
        try {
            var text = (MemorySegment) handle(driver, "shimMessage", ValueLayout.ADDRESS).invoke();
            return text.reinterpret(Long.MAX_VALUE).getString(0);
        } catch (Throwable t) {
            throw new IllegalStateException(t);
        }
    }

    /// As after it was loaded: faults are gone, devices have their memory, counts begin anew. Contexts that somebody still
    /// holds stay theirs, uncounted; let go of them before, or they keep what they have.
    public void reset() {
        try {
            handle(driver, "shimReset", null).invoke();
        } catch (Throwable t) {
            throw new IllegalStateException(t);
        }
        nvrtcVersion(13, 0);
    }

    private void set(String function, long value) {
        try {
            handle(driver, function, null, ValueLayout.JAVA_LONG).invoke(value);
        } catch (Throwable t) {
            throw new IllegalStateException(t);
        }
    }

    private static MethodHandle handle(SymbolLookup library, String name, MemoryLayout result, MemoryLayout... parameters) {
        var type = result == null ? FunctionDescriptor.ofVoid(parameters) : FunctionDescriptor.of(result, parameters);
        return Linker.nativeLinker().downcallHandle(library.findOrThrow(name), type);
    }
}
