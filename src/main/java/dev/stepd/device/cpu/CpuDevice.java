package dev.stepd.device.cpu;

import dev.stepd.codegen.cpu.Kernel;
import dev.stepd.codegen.cpu.KernelCompiler;
import dev.stepd.device.Array;
import dev.stepd.device.Body;
import dev.stepd.device.BoundPlan;
import dev.stepd.device.Device;
import dev.stepd.device.Domain;
import dev.stepd.device.HostMemory;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.stage.Plan;
import dev.stepd.expr.stage.Stage;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/// The processor. Kernels are kept for the life of the device, by the text of their stage, so sessions with the same
/// optimizer share them.
public final class CpuDevice implements Device {
    private final KernelCompiler compiler;
    private final CpuMemory memory;
    private final Crew crew;
    private final Map<String, Kernel> kernels = new ConcurrentHashMap<>();
    private final AtomicLong compilations = new AtomicLong();

    /// @param memoryBytes all regions together
    /// @param threads that work on one pass at most
    public CpuDevice(long memoryBytes, int threads) {
        this(new KernelCompiler(), memoryBytes, threads);
    }

    /// @param compiler decides how wide vectors are; results do not depend on it
    public CpuDevice(KernelCompiler compiler, long memoryBytes, int threads) {
        this.compiler = compiler;
        this.memory = new CpuMemory(memoryBytes);
        this.crew = new Crew(threads);
    }

    @Override
    public String name() {
        return "cpu";
    }

    @Override
    public HostMemory memory() {
        return memory;
    }

    /// The same budget as [#memory].
    @Override
    public HostMemory host() {
        return memory;
    }

    @Override
    public Body body(long bytes, String purpose) {
        return new CpuBody();
    }

    @Override
    public BoundPlan bind(Plan plan, Domain domain, Map<Buffer, Array> arrays, Map<Buffer, Long> inBody) {
        return new CpuPlan(plan, this::kernel, domain, arrays, inBody, crew, memory);
    }

    private Kernel kernel(Stage stage) {
        return kernels.computeIfAbsent(stage.toString(), _ -> {
            compilations.incrementAndGet();
            return compiler.compile(stage);
        });
    }

    @Override
    public long compilations() {
        return compilations.get();
    }

    @Override
    public void close() {
        crew.close();
    }
}
