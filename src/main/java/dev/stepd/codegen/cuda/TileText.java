package dev.stepd.codegen.cuda;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.ReduceOp;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.expr.UnaryOp;
import dev.stepd.expr.stage.Phase;
import dev.stepd.expr.stage.Stage;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/// Stages that run together, tile after tile. A thread has the same four elements in all of them, so what one stage leaves to the
/// next stays in registers if it is of elements, and in shared memory if it is of blocks.
final class TileText {
    private final KernelText kernel;
    private final Phase.Tiling tiling;
    private final Lines out;
    private final Values values;
    private final Map<Buffer, String> kept = new HashMap<>();
    private final LaneText lanes;
    /// Arrays of blocks whose values of the tile are in shared memory.
    private final Set<Buffer> shared = new HashSet<>();
    private final Set<String> sharedMembers = new HashSet<>();

    TileText(KernelText kernel, Phase.Tiling tiling) {
        this.kernel = kernel;
        this.tiling = tiling;
        this.out = kernel.body();
        this.values = kernel.values();
        this.lanes = new LaneText(kernel, Scope.ELEMENT, true, kept);
    }

    /// Whether the stages of a phase run so here: units of rows, and long ones, have no place in a block of threads.
    static boolean fits(Phase.Tiling tiling) {
        return tiling.unit().isElement()
                || tiling.unit().kind() == Scope.Kind.BLOCK && tiling.unit().size() <= CudaProgram.TILE_ELEMENTS;
    }

    /// Elements of a tile: whole units.
    static int elements(Phase.Tiling tiling) {
        int unit = tiling.unit().isElement() ? 1 : tiling.unit().size();
        return CudaProgram.TILE_ELEMENTS / unit * unit;
    }

    void emit() {
        PassText.openTiles(out, Scope.ELEMENT);
        var all = new ArrayList<Expr>();
        tiling.stages().forEach(stage -> all.addAll(LaneText.roots(stage.outputs())));
        PassText.uniform(out, kernel, values, Scope.ELEMENT, all);
        out.open("for (int done = 0; done < tile.count; done += " + elements(tiling) + ")");
        part();
        out.close();
        out.close();
    }

    /// What a block of threads does at once.
    private void part() {
        out.line("const long long first = tile.first + done;");
        out.line("const long long start = tile.within + done;");
        out.line("const int count = at_most(tile.count - done, " + elements(tiling) + ");");
        out.line("const int at = 4 * threadIdx.x;");
        out.line("const int from = 0;");
        out.line("const int to = at_most(count - at, 4);");
        out.line("const long long i = first + at;");
        out.line("const long long within = start + (to > 0 ? at : 0);");
        lanes.loads(out, elements());
        for (var stage : tiling.stages()) {
            if (stage.folds()) {
                fold(stage);
            } else if (stage.scope().isElement()) {
                write(stage.outputs());
            } else {
                blocks(stage);
            }
        }
        out.line("__syncthreads();");
    }

    /// What the stages read of elements, but for what they leave to each other: all loads are under way before the first is needed.
    private List<Expr> elements() {
        var made = new HashSet<Buffer>();
        var reads = new ArrayList<Expr>();
        for (var stage : tiling.stages()) {
            if (stage.scope().isElement()) {
                for (var node : stage.nodes()) {
                    if (node instanceof Expr.Read(Buffer buffer) && !made.contains(buffer)) {
                        reads.add(node);
                    }
                }
            }
            stage.outputs().forEach(output -> made.add(output.target()));
        }
        return reads;
    }

    /// Writes arrays, and keeps what is local.
    private void write(List<? extends Stage.Output> outputs) {
        var roots = LaneText.roots(outputs);
        lanes.loads(out, roots);
        var next = declare(outputs);
        lanes.lanes(out, values, roots, (lane, computed) -> assign(lane, computed, outputs, next));
        keep(outputs, next);
    }

    private Map<Buffer, String> declare(List<? extends Stage.Output> outputs) {
        var next = new HashMap<Buffer, String>();
        outputs.forEach(output -> next.put(output.target(), lanes.next(out, output.target())));
        return next;
    }

    private static void assign(Lines lane, Values computed, List<? extends Stage.Output> outputs, Map<Buffer, String> next) {
        outputs.forEach(output -> lane.line(next.get(output.target()) + ".at[k] = "
                + LaneText.stored(output.target(), computed.value(output.value())) + ";"));
    }

    private void keep(List<? extends Stage.Output> outputs, Map<Buffer, String> next) {
        for (var output : outputs) {
            var target = output.target();
            if (!tiling.locals().contains(target)) {
                lanes.store(out, target, next.get(target));
            }
            kept.put(target, next.get(target)); // whoever reads it from here on reads what it has become
        }
    }

    /// Folds over blocks: the values through shared memory to 16 threads for each block, one for each lane.
    private void fold(Stage stage) {
        var folds = stage.outputs().stream().filter(Stage.Fold.class::isInstance).map(Stage.Fold.class::cast).toList();
        var writes = stage.outputs().stream().filter(Stage.Write.class::isInstance).toList();
        var roots = LaneText.roots(stage.outputs());
        lanes.loads(out, roots);
        var next = declare(writes);
        for (int f = 0; f < folds.size(); f++) {
            var type = Types.computed(folds.get(f).value().type());
            share(folds.get(f).value().type(), "values" + f + "_" + type, CudaProgram.TILE_ELEMENTS);
            if (isOrderless(folds.get(f))) {
                out.line(type + " largest" + position(folds.get(f)) + " = "
                        + Operations.identity(folds.get(f).op(), folds.get(f).value().type()) + ";");
            }
        }
        lanes.lanes(out, values, roots, (lane, computed) -> {
            assign(lane, computed, writes, next);
            for (int f = 0; f < folds.size(); f++) {
                put(lane, folds.get(f), f, computed.value(folds.get(f).value()));
            }
        });
        keep(writes, next);
        for (int f = 0; f < folds.size(); f++) {
            if (isOrderless(folds.get(f))) {
                out.line(valuesOf(folds.get(f), f) + "[threadIdx.x] = largest" + position(folds.get(f)) + ";");
            }
        }
        out.line("__syncthreads();");
        for (int f = 0; f < folds.size(); f++) {
            join(folds.get(f), f);
        }
        out.line("__syncthreads();");
    }

    private void put(Lines lane, Stage.Fold fold, int number, String value) {
        if (isOrderless(fold)) {
            var largest = "largest" + position(fold);
            lane.line(largest + " = k < to ? larger(" + largest + ", " + value + ") : " + largest + ";");
        } else {
            lane.line(valuesOf(fold, number) + "[at + k] = " + value + ";");
        }
    }

    private static String valuesOf(Stage.Fold fold, int number) {
        return "shared.values" + number + "_" + Types.computed(fold.value().type());
    }

    /// A number for what a fold comes by.
    private String position(Stage.Fold fold) {
        return "_" + kernel.names().of(fold.target());
    }

    /// Whether any order gives the same bits, so that a thread may join its four values by itself: largest magnitudes.
    private static boolean isOrderless(Stage.Fold fold) {
        return fold.op() == ReduceOp.MAX && fold.value() instanceof Expr.Unary(UnaryOp op, _) && op == UnaryOp.ABS
                && fold.target().scope().size() % 4 == 0;
    }

    private void join(Stage.Fold fold, int number) {
        var target = fold.target();
        int size = target.scope().size();
        int each = isOrderless(fold) ? size / 4 : size; // values of a block
        int blocks = CudaProgram.TILE_ELEMENTS / size;
        var type = Types.computed(fold.value().type());
        int turns = Math.ceilDiv(blocks * 16, CudaProgram.THREADS) * CudaProgram.THREADS;
        out.open("for (int n = threadIdx.x; n < " + turns + "; n += THREADS)");
        out.line("const int b = n / LANES, lane = n % LANES;");
        out.line("const int end = at_most(count - b * " + size + ", " + size + ")" + (isOrderless(fold) ? " + 3 >> 2" : "") + ";");
        out.line(type + " sum = " + Operations.identity(fold.op(), fold.value().type()) + ";");
        out.open("for (int m = lane; m < end; m += LANES)");
        out.line("sum = " + Operations.join(fold.op(), "sum", valuesOf(fold, number) + "[b * " + each + " + m]") + ";");
        out.close();
        for (int half = 8; half > 0; half /= 2) {
            out.line("sum = " + Operations.join(fold.op(), "sum", "__shfl_down_sync(0xffffffff, sum, " + half + ", LANES)") + ";");
        }
        out.open("if (lane == 0 && end > 0)");
        put(target, kernel.pointers().firstBlocks(size) + "[tile.tensor] + start / " + size + " + b", "sum");
        out.close();
        out.close();
    }

    /// Stores the value of a block of the tile in shared memory, and in the array if there is one.
    ///
    /// @param place the block's index in the array
    private void put(Buffer target, String place, String value) {
        int size = target.scope().size();
        if (target.kind() == Buffer.Kind.TEMP) {
            var member = "of_" + kernel.names().of(target);
            if (shared.add(target)) {
                kernel.share(target.storage(), member, Math.ceilDiv(CudaProgram.TILE_ELEMENTS, size));
            }
            kept.put(target, "shared." + member + "[" + (size % 4 == 0 ? "at / " : "(at + k) / ") + size + "]");
            out.line("shared." + member + "[b] = " + value + ";");
        }
        if (!tiling.locals().contains(target)) {
            out.line(kernel.pointers().written(target) + "[" + place + "] = " + value + ";");
        }
    }

    private void share(Type type, String member, int extent) {
        if (sharedMembers.add(member)) {
            kernel.share(type, member, extent);
        }
    }

    /// Writes a value for each block.
    private void blocks(Stage stage) {
        int size = stage.scope().size();
        out.line("__syncthreads();");
        out.open("for (int b = threadIdx.x; b * " + size + " < count; b += THREADS)");
        var place = kernel.numbered("block_");
        out.line("const long long " + place + " = " + kernel.pointers().firstBlocks(size) + "[tile.tensor] + start / " + size + " + b;");
        var computed = new Values(values);
        computed.declare(out, LaneText.roots(stage.outputs()), read -> ofBlock(read.buffer(), place));
        var next = new ArrayList<String>(); // all of them before the first is stored: one may be made of what another overwrites
        for (var output : stage.outputs()) {
            next.add(kernel.names().next(output.target()));
            out.line("const " + Types.stored(output.target().storage()) + " " + next.getLast() + " = "
                    + LaneText.stored(output.target(), computed.value(output.value())) + ";");
        }
        for (int i = 0; i < next.size(); i++) {
            put(stage.outputs().get(i).target(), place, next.get(i));
        }
        out.close();
        out.line("__syncthreads();");
    }

    private String ofBlock(Buffer buffer, String place) {
        var element = shared.contains(buffer) ? "shared.of_" + kernel.names().of(buffer) + "[b]"
                : kernel.pointers().read(buffer) + "[" + place + "]";
        return buffer.storage() == buffer.storage().loaded() ? element : "(int) " + element;
    }
}
