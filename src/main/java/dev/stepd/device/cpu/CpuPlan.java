package dev.stepd.device.cpu;

import dev.stepd.codegen.cpu.Kernel;
import dev.stepd.device.Array;
import dev.stepd.device.Body;
import dev.stepd.device.BoundPlan;
import dev.stepd.device.Domain;
import dev.stepd.device.Extents;
import dev.stepd.device.HostArray;
import dev.stepd.device.HostMemory;
import dev.stepd.device.HostRegion;
import dev.stepd.device.Spans;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.ReduceOp;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.expr.stage.Phase;
import dev.stepd.expr.stage.Plan;
import dev.stepd.expr.stage.Stage;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/// A plan bound to arrays in main memory: its phases in order, and the arrays it needs for itself.
final class CpuPlan implements BoundPlan {
    private final Function<Stage, Kernel> kernels;
    private final Domain domain;
    private final Crew crew;
    private final HostMemory memory;
    private final Map<Buffer, MemorySegment> arrays;
    private final List<HostRegion> owned = new ArrayList<>();
    private final List<BoundPhase> phases = new ArrayList<>();
    private final List<ReduceOp> identities;
    private final List<Buffer> folded;
    private final Map<Buffer, Long> inBody;
    private long bodyBytes;
    private @Nullable Spans spans;
    private @Nullable HostRegion scratch;

    CpuPlan(
            Plan plan,
            Function<Stage, Kernel> kernels,
            Domain domain,
            Map<Buffer, Array> given,
            Map<Buffer, Long> inBody,
            Crew crew,
            HostMemory memory) {
        this.kernels = kernels;
        this.domain = domain;
        this.crew = crew;
        this.memory = memory;
        this.arrays = new HashMap<>();
        given.forEach((buffer, array) -> arrays.put(buffer, ((HostArray) array).segment()));
        this.inBody = inBody;
        try {
            for (var phase : plan.phases()) {
                phases.add(phase.tiling().isPresent() ? tiles(phase, phase.tiling().get()) : pass(phase.passes().getFirst()));
            }
        } catch (RuntimeException e) {
            close();
            throw e;
        }
        this.identities = new ArrayList<>();
        this.folded = new ArrayList<>();
        findFoldedByTensor(plan);
    }

    private void own(Buffer buffer) {
        long bytes = domain.bytes(buffer);
        var region = memory.allocate(bytes, "a pass's intermediate values");
        owned.add(region);
        arrays.put(buffer, region.segment());
    }

    private Pass pass(Stage stage) {
        var buffers = buffers(stage);
        buffers.forEach(this::provide);
        return new Pass(stage, kernels.apply(stage), domain, buffers, inBody, crew.size());
    }

    /// Locals exist only as far as some tensors need passes.
    private TilePass tiles(Phase phase, Phase.Tiling tiling) {
        boolean all = domain.tensors().stream().allMatch(tensor -> TilePass.isTiled(tiling.unit(), tensor));
        var passes = all ? List.<Pass>of() : phase.passes().stream().map(this::pass).toList();
        for (var stage : tiling.stages()) {
            buffers(stage).stream().filter(buffer -> !tiling.locals().contains(buffer)).forEach(this::provide);
        }
        return new TilePass(tiling, passes, kernels, domain, inBody, crew.size());
    }

    private static List<Buffer> buffers(Stage stage) {
        var buffers = new ArrayList<>(stage.reads());
        stage.outputs().forEach(output -> buffers.add(output.target()));
        return buffers;
    }

    /// Makes sure there is memory behind an array.
    private void provide(Buffer buffer) {
        boolean ours = buffer.kind() == Buffer.Kind.EXTENT || buffer.kind() == Buffer.Kind.TEMP;
        if (ours && !arrays.containsKey(buffer)) {
            own(buffer);
        }
        if (inBody.containsKey(buffer)) {
            long bytes = domain.bytes(buffer);
            bodyBytes = Math.max(bodyBytes, inBody.get(buffer) + bytes + Pages.SLACK_BYTES / 2);
        } else {
            checkSize(buffer, arrays.get(buffer));
        }
    }

    /// The one bounds check of all a kernel's loads and stores.
    private void checkSize(Buffer buffer, @Nullable MemorySegment array) {
        long needed = domain.bytes(buffer);
        if (array == null || array.byteSize() < needed || !array.isNative()) {
            throw new IllegalStateException(buffer + " needs " + needed + " bytes outside the heap, got " + array);
        }
    }

    /// Values of tensors that a later pass folds: absent tensors hold the identity there.
    private void findFoldedByTensor(Plan plan) {
        for (var stage : plan.stages()) {
            if (stage.folds() && stage.scope().equals(Scope.TENSOR)) {
                for (var output : stage.outputs()) {
                    folded.add(((Expr.Read) output.value()).buffer());
                    identities.add(((Stage.Fold) output).op());
                }
            }
        }
    }

    @Override
    public void run(Spans now, Body brought) {
        var body = ((CpuBody) brought).held();
        if (body.byteSize() < bodyBytes || !body.isNative()) {
            throw new IllegalStateException("the body needs " + bodyBytes + " bytes outside the heap: " + body);
        }
        prepare(now);
        for (int i = 0; i < phases.size(); i++) { // an iterator would be an object in every step
            phases.get(i).run(crew, body.address());
        }
    }

    @Override
    public void prepare(Spans now) {
        if (spans != now) {
            cut(now);
        }
    }

    private void cut(Spans now) {
        long ends = 0;
        long partials = 0;
        for (var phase : phases) {
            ends = Math.max(ends, phase.roomBytes());
            partials = Math.max(partials, phase.cut(now));
        }
        var room = scratch(ends + partials);
        for (var phase : phases) {
            phase.bind(arrays, room.asSlice(0, ends), room.asSlice(ends, partials));
        }
        extents(now);
        for (int i = 0; i < folded.size(); i++) {
            fillAbsent(now, folded.get(i), identities.get(i).identity());
        }
        spans = now;
    }

    /// Memory that phases use one after the other.
    private MemorySegment scratch(long bytes) {
        if (scratch == null || scratch.segment().byteSize() < bytes) {
            if (scratch != null) {
                scratch.close();
                scratch = null;
            }
            scratch = memory.allocate(bytes, "a pass's partial results");
        }
        return scratch.segment();
    }

    private void fillAbsent(Spans now, Buffer buffer, double identity) {
        var values = arrays.get(buffer);
        for (int tensor = 0; tensor < domain.tensors().size(); tensor++) {
            if (!now.contains(tensor) && buffer.storage() == Type.F32) {
                values.setAtIndex(ValueLayout.JAVA_FLOAT, tensor, (float) identity);
            } else if (!now.contains(tensor)) {
                values.setAtIndex(ValueLayout.JAVA_DOUBLE, tensor, identity);
            }
        }
    }

    /// How many elements each index covers; only what spans a session or group depends on who takes part.
    private void extents(Spans now) {
        for (var buffer : List.copyOf(arrays.keySet())) {
            if (buffer.kind() == Buffer.Kind.EXTENT) {
                Extents.fill(arrays.get(buffer), buffer.scope(), domain, now);
            }
        }
    }

    @Override
    public void close() {
        owned.forEach(HostRegion::close);
        if (scratch != null) {
            scratch.close();
        }
    }
}
