package dev.stepd.codegen.cuda;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.expr.stage.Stage;
import java.util.List;

/// Stages that fold, in the order that [dev.stepd.expr.Order] fixes. Partial results are f64, which holds f32 exactly.
final class FoldText {
    private static final String EVERY_THREAD = "0xffffffff";

    private final KernelText kernel;
    private final Stage stage;
    private final Lines out;
    private final List<Stage.Fold> folds;

    FoldText(KernelText kernel, Stage stage) {
        this.kernel = kernel;
        this.stage = stage;
        this.out = kernel.body();
        this.folds = stage.outputs().stream().map(Stage.Fold.class::cast).toList();
    }

    /// Runs of neighbours. Four threads take a chunk, each four of its lanes: of every 16 values they read 64 bytes side by side,
    /// and none crosses from thread to thread before the lanes join.
    void runs() {
        for (int f = 0; f < folds.size(); f++) {
            kernel.share(Type.F64, "chunks" + f, CudaProgram.TILE_CHUNKS);
        }
        PassText.openTiles(out, stage.scope());
        out.line("const int group = threadIdx.x / 4, lane = 4 * (threadIdx.x % 4);");
        out.line("const int run = group / tile.chunks, chunk = group - run * tile.chunks;");
        accumulators();
        out.open("if (run < tile.count)");
        out.line("const long long start = tile.within + run * tile.length + (long long) (tile.chunk + chunk) * CHUNK;");
        out.line("const long long stop = tile.within + (run + 1) * tile.length;");
        out.line("const int count = at_most((stop < tile.end ? stop : tile.end) - start, CHUNK);");
        var values = kernel.values();
        values.declareUniform(out, LaneText.roots(folds), this::isUniform, this::uniform);
        out.line("#pragma unroll 4");
        out.open("for (int at = lane; at < count; at += LANES)");
        out.line("const int from = 0;");
        out.line("const int to = at_most(count - at, 4);");
        out.line("const long long within = start + at;");
        out.line("const long long i = tile.first + (within - tile.within);");
        accumulate(values, startsAtFours());
        out.close();
        out.close();
        joinLanes();
        joinChunks();
        out.close();
    }

    private boolean startsAtFours() {
        return stage.over().equals(Scope.TENSOR) || stage.over().kind() == Scope.Kind.BLOCK && stage.over().size() % 4 == 0;
    }

    /// Throughout a run.
    private boolean isUniform(Expr node) {
        var scope = node.scope();
        return node instanceof Expr.Const || KernelText.isUniform(scope, stage.scope()) || ofRuns(scope);
    }

    private boolean ofRuns(Scope scope) {
        return stage.scope().isElement() && scope.equals(stage.over()) && Scope.TENSOR.coarserThan(scope);
    }

    private String uniform(Expr.Read read) {
        var buffer = read.buffer();
        if (!ofRuns(buffer.scope())) {
            return kernel.uniform(buffer);
        }
        return kernel.pointers().read(buffer) + (buffer.scope().equals(Scope.ROW)
                ? "[tensor.row + quotient(start, tensor.columns)]"
                : "[" + kernel.pointers().firstBlocks(buffer.scope().size()) + "[tile.tensor] + start / " + buffer.scope().size() + "]");
    }

    private void accumulators() {
        for (int f = 0; f < folds.size(); f++) {
            var type = folds.get(f).value().type();
            var identity = Operations.identity(folds.get(f).op(), type);
            out.line(Types.computed(type) + " sum" + f + "[4] = {" + String.join(", ", identity, identity, identity, identity) + "};");
        }
    }

    private void accumulate(Values values, boolean aligned) {
        var lanes = new LaneText(kernel, stage.scope(), aligned, LaneText.nothingKept());
        var roots = LaneText.roots(folds);
        lanes.loads(out, roots);
        lanes.lanes(out, values, roots, (lane, computed) -> {
            lane.open("if (from <= k && k < to)");
            for (int f = 0; f < folds.size(); f++) {
                lane.line("sum" + f + "[k] = " + join(f, "sum" + f + "[k]", computed.operand(folds.get(f).value())) + ";");
            }
            lane.close();
        });
    }

    private String join(int fold, String a, String b) {
        return Operations.join(folds.get(fold).op(), a, b);
    }

    private void joinLanes() {
        out.line("// the upper half of the lanes joins the lower, until one is left");
        for (int f = 0; f < folds.size(); f++) {
            var sum = "sum" + f;
            for (int half = 2; half > 0; half /= 2) {
                for (int k = 0; k < 4; k++) {
                    var lane = sum + "[" + k + "]";
                    out.line(lane + " = " + join(f, lane, "__shfl_down_sync(" + EVERY_THREAD + ", " + lane + ", " + half + ", 4)") + ";");
                }
            }
            out.line(sum + "[0] = " + join(f, sum + "[0]", sum + "[2]") + ";");
            out.line(sum + "[1] = " + join(f, sum + "[1]", sum + "[3]") + ";");
            out.open("if (lane == 0)");
            out.line("shared.chunks" + f + "[group] = " + join(f, sum + "[0]", sum + "[1]") + ";");
            out.close();
        }
        out.line("__syncthreads();");
    }

    private void joinChunks() {
        out.line("// chunks join pairwise, neighbours first");
        out.open("for (int s = 1; s < tile.chunks; s *= 2)");
        out.open("if (lane == 0 && run < tile.count && chunk % (2 * s) == 0 && chunk + s < tile.chunks)");
        for (int f = 0; f < folds.size(); f++) {
            var chunks = "shared.chunks" + f;
            out.line(chunks + "[group] = " + join(f, chunks + "[group]", chunks + "[group + s]") + ";");
        }
        out.close();
        out.line("__syncthreads();");
        out.close();
        out.open("if (lane == 0 && chunk == 0 && run < tile.count)");
        for (int f = 0; f < folds.size(); f++) {
            result(f, "shared.chunks" + f + "[group]", "run");
        }
        out.close();
        out.line("__syncthreads();");
    }

    private void result(int fold, String value, String within) {
        out.open("if (tile.partial)");
        out.line("w.partials[" + fold + " * w.partials_each + tile.target + " + within + "] = " + value + ";");
        out.close();
        out.open("else");
        target(fold, "tile.target + " + within, value);
        out.close();
    }

    private void target(int fold, String index, String value) {
        var target = folds.get(fold).target();
        var narrowed = target.storage() == Type.F64 ? value : "(" + Types.stored(target.storage()) + ") " + value;
        out.line(kernel.pointers().written(target) + "[" + index + "] = " + narrowed + ";");
    }

    /// Rows joined one after the other to the columns' results, each thread four columns.
    void columns() {
        PassText.openTiles(out, stage.scope());
        var values = kernel.values();
        PassText.uniform(out, kernel, values, stage.scope(), LaneText.roots(folds));
        out.open("for (int at = 4 * (int) threadIdx.x - tile.lead; at < tile.count; at += 4 * THREADS)");
        out.line("const int from = at_least(-at, 0);");
        out.line("const int to = at_most(tile.count - at, 4);");
        accumulators();
        out.line("#pragma unroll 4");
        out.open("for (int n = 0; n < tile.chunk; n++)");
        out.line("const long long i = tile.first + n * tile.length + at;");
        out.line("const long long within = tile.within + n * tile.length + at;");
        accumulate(values, false);
        out.close();
        out.line("#pragma unroll");
        out.open("for (int k = 0; k < 4; k++)");
        out.open("if (from <= k && k < to)");
        for (int f = 0; f < folds.size(); f++) {
            result(f, "sum" + f + "[k]", "at + k");
        }
        out.close();
        out.close();
        out.close();
        out.close();
    }

    /// Joins the partial results of runs that several tiles have a part of.
    void joins() {
        out.open("for (long long n_join = block; n_join < w.count; n_join += blocks)");
        out.line("const Join join = w.joins[n_join];");
        for (int f = 0; f < folds.size(); f++) {
            out.line("double *part" + f + " = w.partials + " + f + " * w.partials_each + join.from;");
        }
        out.open("for (long long s = 1; s < join.count; s *= 2)");
        out.open("for (long long n = 2 * s * threadIdx.x; n + s < join.count; n += 2 * s * THREADS)");
        for (int f = 0; f < folds.size(); f++) {
            out.line("part" + f + "[n] = " + join(f, "part" + f + "[n]", "part" + f + "[n + s]") + ";");
        }
        out.close();
        out.line("__syncthreads();");
        out.close();
        out.open("if (threadIdx.x == 0)");
        for (int f = 0; f < folds.size(); f++) {
            target(f, "join.target", "part" + f + "[0]");
        }
        out.close();
        out.close();
    }

    /// The same for columns, side by side.
    void columnJoins() {
        out.open("for (long long n_join = 0; n_join < w.count; n_join++)");
        out.line("const Join join = w.joins[n_join];");
        out.open("for (long long n = block * THREADS + threadIdx.x; n < join.width; n += blocks * THREADS)");
        for (int f = 0; f < folds.size(); f++) {
            out.line("double *part" + f + " = w.partials + " + f + " * w.partials_each + join.from + n;");
        }
        out.open("for (long long s = 1; s < join.count; s *= 2)");
        out.open("for (long long m = 0; m + s < join.count; m += 2 * s)");
        for (int f = 0; f < folds.size(); f++) {
            var part = "part" + f;
            out.line(part + "[m * join.stride] = " + join(f, part + "[m * join.stride]", part + "[(m + s) * join.stride]") + ";");
        }
        out.close();
        out.close();
        for (int f = 0; f < folds.size(); f++) {
            target(f, "join.target + n", "part" + f + "[0]");
        }
        out.close();
        out.close();
    }
}
