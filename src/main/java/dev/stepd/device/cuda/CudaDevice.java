package dev.stepd.device.cuda;

import dev.stepd.codegen.cuda.CudaProgram;
import dev.stepd.device.Array;
import dev.stepd.device.Body;
import dev.stepd.device.BoundPlan;
import dev.stepd.device.Device;
import dev.stepd.device.Domain;
import dev.stepd.device.HostMemory;
import dev.stepd.device.Memory;
import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.stage.Plan;
import java.util.ArrayDeque;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// A GPU. Kernels are kept for the life of the device, by the text of their plan, so sessions with the same optimizer share them.
///
/// Once the driver reports that the context is lost, everything here refuses with the reason: state on the device is gone.
public final class CudaDevice implements Device {
    private static final Logger LOG = LoggerFactory.getLogger(CudaDevice.class);

    private final DeviceProperties properties;
    private final Tuning tuning;
    private final CudaContext context;
    private final Modules modules;
    private final CudaMemory memory;
    private final PinnedHost host;
    private final Transfers transfers;
    private final ArrayDeque<Streams> idle = new ArrayDeque<>();
    private final Map<String, CudaProgram> programs = new ConcurrentHashMap<>();
    private final AtomicLong compilations = new AtomicLong();
    private volatile @Nullable String lost;

    /// @param memoryBytes all regions together
    /// @param pinnedBytes main memory for what comes and goes
    CudaDevice(DeviceProperties properties, ModuleCompiler compiler, long memoryBytes, long pinnedBytes, Tuning tuning) {
        this.properties = properties;
        this.tuning = tuning;
        this.context = CudaContext.open(properties);
        this.modules = new Modules(context, compiler);
        this.memory = new CudaMemory(this, memoryBytes);
        this.host = new PinnedHost(this, pinnedBytes);
        this.transfers = new Transfers(this);
    }

    @Override
    public String name() {
        return "cuda:" + properties.index();
    }

    public DeviceProperties properties() {
        return properties;
    }

    @Override
    public Memory memory() {
        return memory;
    }

    @Override
    public HostMemory host() {
        return host;
    }

    @Override
    public Body body(long bytes, String purpose) {
        return new CudaBody(this, memory.allocate(bytes, purpose));
    }

    @Override
    public BoundPlan bind(Plan plan, Domain domain, Map<Buffer, Array> arrays, Map<Buffer, Long> inBody) {
        requireHealthy();
        var program = programs.computeIfAbsent(kernels(plan), _ -> {
            compilations.incrementAndGet();
            return CudaProgram.of(plan);
        });
        try {
            return new CudaPlan(this, program, modules.get("plan", program.text()), domain, arrays, inBody);
        } catch (CudaError e) {
            throw refused(e);
        }
    }

    /// What to throw for an error that came before anything changed. The driver takes memory for kernels and streams by itself, and
    /// does not say how much.
    RuntimeException refused(CudaError e) {
        if (!e.isOutOfMemory()) {
            return failed(e);
        }
        long free = memory.freeBytes();
        return new ServiceException(ErrorCode.OUT_OF_MEMORY, name() + " has no memory left for kernels and streams, " + free
                + " bytes are free: " + e.getMessage(), Map.of("bytes_free", free, "device", name()));
    }

    /// What decides a plan's kernels, as text: all but the host's values.
    private static String kernels(Plan plan) {
        var text = new StringBuilder();
        for (var phase : plan.phases()) {
            phase.passes().forEach(text::append);
            phase.tiling().ifPresent(tiling -> tiling.stages().forEach(text.append(tiling.unit()).append(tiling.locals())::append));
        }
        return text.toString();
    }

    @Override
    public long compilations() {
        return compilations.get();
    }

    Tuning tuning() {
        return tuning;
    }

    PinnedHost pinned() {
        return host;
    }

    CudaContext context() {
        return context;
    }

    Transfers transfers() {
        return transfers;
    }

    Streams takeStreams() {
        synchronized (idle) {
            var known = idle.poll();
            if (known != null) {
                return known;
            }
        }
        return Streams.open(context);
    }

    void giveBack(Streams streams) {
        synchronized (idle) {
            idle.push(streams);
        }
    }

    /// Whether the device can be used.
    public boolean isHealthy() {
        return lost == null;
    }

    @Override
    public @Nullable String reasonLost() {
        return lost;
    }

    void requireHealthy() {
        var reason = lost;
        if (reason != null) {
            throw new ServiceException(ErrorCode.UNAVAILABLE, name() + " is lost until stepd restarts: " + reason);
        }
    }

    /// Notes what an error means for the device; returns what to throw.
    RuntimeException failed(RuntimeException e) {
        if (e instanceof CudaError error && error.isSticky() && lost == null) {
            lost = error.getMessage();
            LOG.error("{} ({}) is lost, and with it the state of its sessions: {}", name(), properties.name(), lost);
        }
        return e;
    }

    @Override
    public void close() {
        for (var streams = idle.poll(); streams != null; streams = idle.poll()) {
            streams.close();
        }
        transfers.close();
        host.close();
        modules.close();
        context.close();
    }
}
