package dev.stepd.codegen.cuda;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Scope;
import dev.stepd.expr.stage.Stage;
import java.util.HashMap;
import java.util.List;

/// A stage that writes one value for each index, and running sums.
final class PassText {
    private PassText() {}

    /// Whether threads' fours begin at multiples of four within each tensor, rather than in memory: where blocks of the tensor or
    /// bytes of two values would be cut otherwise.
    static boolean countsWithinTensors(Stage stage) {
        return stage.packs()
                || stage.reads().stream().anyMatch(buffer -> buffer.scope().kind() == Scope.Kind.BLOCK && !stage.scope().equals(buffer.scope()));
    }

    static void write(KernelText kernel, Stage stage) {
        var out = kernel.body();
        var roots = LaneText.roots(stage.outputs());
        openTiles(out, stage.scope());
        var values = kernel.values();
        uniform(out, kernel, values, stage.scope(), roots);
        out.open("for (int at = 4 * (int) threadIdx.x - tile.lead; at < tile.count; at += 4 * THREADS)");
        out.line("const int from = at_least(-at, 0);");
        out.line("const int to = at_most(tile.count - at, 4);");
        out.line("const long long i = tile.first + at;");
        out.line("const long long within = tile.within + at;");
        writeFours(out, new LaneText(kernel, stage.scope(), countsWithinTensors(stage), LaneText.nothingKept()), values,
                stage.outputs());
        out.close();
        out.close();
    }

    /// Goes through the tiles of a launch.
    static void openTiles(Lines out, Scope scope) {
        out.open("for (long long n_tile = block; n_tile < w.count; n_tile += blocks)");
        out.line("const Tile tile = w.tiles[n_tile];");
        if (!scope.equals(Scope.SESSION) && !scope.equals(Scope.GROUP)) {
            out.line("const Tensor &tensor = w.tensors[tile.tensor];");
        }
    }

    /// Declares what is the same for all of a tile.
    static void uniform(Lines out, KernelText kernel, Values values, Scope scope, List<Expr> roots) {
        values.declareUniform(out, roots, node -> KernelText.isUniform(node.scope(), scope) || node instanceof Expr.Const,
                read -> kernel.uniform(read.buffer()));
    }

    /// Loads, computes and stores four values of each output.
    static void writeFours(Lines out, LaneText lanes, Values values, List<? extends Stage.Output> outputs) {
        var roots = LaneText.roots(outputs);
        lanes.loads(out, roots);
        var next = new HashMap<Buffer, String>();
        outputs.forEach(output -> next.put(output.target(), lanes.next(out, output.target())));
        lanes.lanes(out, values, roots, (lane, computed) -> outputs.forEach(output -> lane.line(next.get(output.target())
                + ".at[k] = " + LaneText.stored(output.target(), computed.value(output.value())) + ";")));
        outputs.forEach(output -> lanes.store(out, output.target(), next.get(output.target())));
    }

    /// One thread takes the tensors in order.
    static void scan(KernelText kernel, Stage stage) {
        var out = kernel.body();
        var output = stage.outputs().getFirst();
        var value = kernel.pointers().read(((Expr.Read) output.value()).buffer());
        out.open("if (block == 0 && threadIdx.x == 0)");
        out.line("double sum = 0.0;");
        out.open("for (long long n_tile = 0; n_tile < w.count; n_tile++)");
        out.line("const Tile tile = w.tiles[n_tile];");
        out.open("for (int at = 0; at < tile.count; at++)");
        out.line("sum = sum + " + value + "[tile.first + at];");
        out.line(kernel.pointers().written(output.target()) + "[tile.first + at] = sum;");
        out.close();
        out.close();
        out.close();
    }
}
