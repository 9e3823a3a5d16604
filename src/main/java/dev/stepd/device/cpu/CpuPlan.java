package dev.stepd.device.cpu;

import dev.stepd.codegen.cpu.Kernel;
import dev.stepd.device.BoundPlan;
import dev.stepd.device.Domain;
import dev.stepd.device.Memory;
import dev.stepd.device.Region;
import dev.stepd.device.Spans;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.ReduceOp;
import dev.stepd.expr.Scope;
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
    private final Memory memory;
    private final Map<Buffer, MemorySegment> arrays;
    private final List<Region> owned = new ArrayList<>();
    private final List<BoundPhase> phases = new ArrayList<>();
    private final List<ReduceOp> identities;
    private final List<Buffer> folded;
    private long gradientBytes;
    private @Nullable Spans spans;
    private @Nullable Region scratch;

    CpuPlan(
            Plan plan,
            Function<Stage, Kernel> kernels,
            Domain domain,
            Map<Buffer, MemorySegment> given,
            Crew crew,
            Memory memory) {
        this.kernels = kernels;
        this.domain = domain;
        this.crew = crew;
        this.memory = memory;
        this.arrays = new HashMap<>(given);
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
        long bytes = Math.multiplyExact(domain.count(buffer.scope()), buffer.storage().bytes());
        var region = memory.allocate(bytes, "a pass's intermediate values");
        owned.add(region);
        arrays.put(buffer, region.segment());
    }

    private Pass pass(Stage stage) {
        var buffers = buffers(stage);
        buffers.forEach(this::provide);
        return new Pass(stage, kernels.apply(stage), domain, buffers, crew.size());
    }

    /// Locals exist only as far as some tensors need passes.
    private TilePass tiles(Phase phase, Phase.Tiling tiling) {
        boolean all = domain.tensors().stream().allMatch(tensor -> TilePass.isTiled(tiling.unit(), tensor));
        var passes = all ? List.<Pass>of() : phase.passes().stream().map(this::pass).toList();
        for (var stage : tiling.stages()) {
            buffers(stage).stream().filter(buffer -> !tiling.locals().contains(buffer)).forEach(this::provide);
        }
        return new TilePass(tiling, passes, kernels, domain, crew.size());
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
        if (perStep(buffer)) {
            gradientBytes = domain.count(buffer.scope()) * buffer.storage().bytes() + Pages.SLACK_BYTES / 2;
        } else {
            checkSize(buffer, arrays.get(buffer));
        }
    }

    private static boolean perStep(Buffer buffer) {
        return buffer.kind() == Buffer.Kind.GRAD || buffer.kind() == Buffer.Kind.DELTA;
    }

    /// The one bounds check of all a kernel's loads and stores.
    private void checkSize(Buffer buffer, @Nullable MemorySegment array) {
        long needed = domain.count(buffer.scope()) * buffer.storage().bytes();
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
    public void run(Spans now, MemorySegment gradients) {
        if (gradients.byteSize() < gradientBytes || !gradients.isNative()) {
            throw new IllegalStateException("gradients need " + gradientBytes + " bytes outside the heap: " + gradients);
        }
        if (spans != now) {
            cut(now);
        }
        for (var phase : phases) {
            phase.run(crew, gradients.address());
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
            fillAbsent(now, arrays.get(folded.get(i)), identities.get(i).identity());
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

    private void fillAbsent(Spans now, MemorySegment values, double identity) {
        for (int tensor = 0; tensor < domain.tensors().size(); tensor++) {
            if (!now.contains(tensor)) {
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
        owned.forEach(Region::close);
        if (scratch != null) {
            scratch.close();
        }
    }
}
