package dev.stepd.device.cuda;

import dev.stepd.codegen.cuda.CudaProgram;
import dev.stepd.codegen.cuda.CudaProgram.Pointer;
import dev.stepd.device.Array;
import dev.stepd.device.Body;
import dev.stepd.device.BoundPlan;
import dev.stepd.device.Domain;
import dev.stepd.device.Region;
import dev.stepd.device.Spans;
import dev.stepd.expr.Buffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/// A plan bound to arrays on a GPU: its kernels in order, what it keeps there for itself, and what of a step's body it copies in
/// and out.
final class CudaPlan implements BoundPlan {
    /// Table space is taken in such steps, so that choices of tensors that differ little need no new memory.
    private static final long TABLE_STEP_BYTES = 4096;

    private final CudaDevice device;
    private final CudaProgram program;
    private final Domain domain;
    private final PlanArrays arrays;
    private final BodyParts parts;
    private final List<KernelLaunch> launches = new ArrayList<>();
    private final Optional<SmallPlan> small;
    /// Of the last launch that writes to the body; those behind it read on the device what it left there.
    private final int last;
    private @Nullable Region tables;
    private @Nullable Spans spans;

    CudaPlan(
            CudaDevice device,
            CudaProgram program,
            CudaModule module,
            Domain domain,
            Map<Buffer, Array> given,
            Map<Buffer, Long> inBody) {
        this.device = device;
        this.program = program;
        this.domain = domain;
        this.parts = new BodyParts(program, domain, inBody);
        this.arrays = new PlanArrays(device, program, domain, given, inBody);
        try {
            for (var kernel : program.kernels()) {
                launches.add(new KernelLaunch(device, module, kernel, program.pointers().size()));
            }
            last = parts.lastThatWrites(program);
            small = arrays.isPinned() ? SmallPlan.of(program, module, domain, launches, device.tuning().smallElements()) : Optional.empty();
        } catch (RuntimeException e) {
            arrays.close();
            throw e;
        }
    }

    @Override
    public void prepare(Spans now) {
        if (spans == now) {
            return;
        }
        try {
            cut(now);
        } catch (CudaError e) {
            throw device.failed(e);
        }
    }

    private void cut(Spans now) {
        spans = null; // until all of it is there
        long bytes = 0;
        long partials = 0;
        for (var launch : launches) {
            bytes += launch.cut(domain, now);
            partials = Math.max(partials, launch.partialBytes());
        }
        long needed = Math.ceilDiv(bytes + partials, TABLE_STEP_BYTES) * TABLE_STEP_BYTES;
        if (tables == null || tables.array().byteSize() < needed) {
            var larger = device.memory().allocate(needed, "tables of a step");
            if (tables != null) {
                tables.close();
            }
            tables = larger;
        }
        var room = (CudaArray) tables.array();
        long at = 0;
        for (var launch : launches) {
            at = launch.place(room, at, arrays.tensors());
        }
        for (var launch : launches) {
            launch.partials(room.address() + at);
        }
        arrays.cut(now);
        for (var pointer : program.pointers()) {
            if (!(pointer instanceof Pointer.Array(Buffer buffer) && parts.contains(buffer))) {
                point(pointer, arrays.address(pointer));
            }
        }
        parts.chunk(launches.get(last), device.tuning().chunkBytes());
        small.ifPresent(all -> all.fill(program, arrays, launches));
        spans = now;
    }

    private void point(Pointer pointer, long address) {
        int member = program.pointers().indexOf(pointer);
        for (int i = 0; i < launches.size(); i++) {
            launches.get(i).point(member, address);
        }
    }

    @Override
    public void run(Spans now, Body body) {
        device.requireHealthy();
        prepare(now);
        var image = (CudaBody) body;
        try {
            if (small.isPresent() && (parts.isEmpty() || image.isPinned())) {
                runSmall(image, small.get());
            } else {
                run(image);
            }
        } catch (CudaError e) {
            throw device.failed(e);
        }
    }

    private void runSmall(CudaBody image, SmallPlan all) {
        if (!parts.isEmpty()) {
            parts.pointToHost(image, all);
        }
        var streams = image.streams();
        all.launch(streams.small());
        streams.awaitSmall();
        image.release();
    }

    private void run(CudaBody image) {
        parts.point(image, launches);
        var streams = image.streams();
        arrays.copyIn(streams.in());
        if (last > 0 || !parts.isChunked()) {
            parts.fetch(image);
        }
        streams.kernelsAfterCopies();
        for (int i = 0; i < last; i++) {
            launches.get(i).launch(streams.kernels());
        }
        if (parts.isChunked()) {
            parts.launchChunks(image, streams);
        } else {
            launches.get(last).launch(streams.kernels());
            streams.copiesAfterKernels();
            parts.copyOut(image, streams.out());
        }
        if (last + 1 < launches.size()) {
            for (int i = last + 1; i < launches.size(); i++) {
                launches.get(i).launch(streams.kernels());
            }
            streams.copiesAfterKernels();
        }
        arrays.copyOut(streams);
        streams.await();
        image.release();
    }

    /// Has on the device, but for the body, what [#compute] needs.
    void copyIn(Spans now, CudaStream stream) {
        prepare(now);
        arrays.copyIn(stream);
    }

    /// The kernels alone, one by one, over what is in the body's image: no copies, and nobody waits. What benchmarks time.
    void compute(CudaBody image, CudaStream stream) {
        parts.point(image, launches);
        for (int i = 0; i < launches.size(); i++) {
            launches.get(i).launch(stream);
        }
    }

    /// The functions of its kernels, in order.
    List<CudaFunction> functions() {
        return launches.stream().flatMap(KernelLaunch::functions).toList();
    }

    @Override
    public void close() {
        arrays.close();
        if (tables != null) {
            tables.close();
        }
    }
}
