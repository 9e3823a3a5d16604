package dev.stepd.codegen.cuda;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Table;
import dev.stepd.expr.Type;
import dev.stepd.expr.stage.Phase;
import dev.stepd.expr.stage.Plan;
import dev.stepd.expr.stage.Stage;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;

/// A plan as one module of CUDA C: a kernel for each stage, or for stages that run tile by tile together.
///
/// Every kernel takes a `Call` by value: the plan's `Arrays` and its own `Work`. `all` takes a `CallOfAll`, `Arrays` and the `Work` of each
/// kernel in turn, and does all of it in one block of threads: small plans in one launch. A grid of any size does the work, each block of [#THREADS] threads the tiles
/// of `w` that are its turn; results do not depend on the grid. Indexes are 64 bits wide. The text is
/// complete but for intrinsics, and equal plans have equal texts.
///
/// @param kernels in the order in which they run
/// @param pointers the members of `struct Arrays`, 8 bytes each, in order
public record CudaProgram(String text, List<Kernel> kernels, List<Pointer> pointers) {
    /// Shared memory that every device gives a block of threads without being asked for more, less what alignment may cost.
    private static final long SHARED_BYTES_MAX = 47 << 10;

    /// Changes whenever the same plan would become another text: part of every cache key.
    public static final int VERSION = 1;

    /// Threads of every block.
    public static final int THREADS = 256;
    /// Elements that stages run over together at most.
    public static final int TILE_ELEMENTS = 4 * THREADS;
    /// Chunks that a tile of a fold has at most.
    public static final int TILE_CHUNKS = 64;

    /// A member of `struct Arrays`.
    public sealed interface Pointer {
        record Array(Buffer buffer) implements Pointer {}

        /// 64-bit integers: the index of each tensor's first block.
        record FirstBlocks(int size) implements Pointer {}

        /// 64-bit integers: the first byte of each tensor in arrays of half bytes.
        record FirstBytes() implements Pointer {}
    }

    /// A kernel and what its tiles are.
    public sealed interface Kernel {
        String name();

        /// The stages it runs.
        List<Stage> stages();

        /// Writes a value for each index; tiles are stretches of a tensor's indexes.
        ///
        /// @param aligned whether tiles must begin at multiples of four within tensors, and lead nothing
        record Pass(String name, Stage stage, boolean aligned) implements Kernel {
            @Override
            public List<Stage> stages() {
                return List.of(stage);
            }
        }

        /// Folds; tiles are runs, or up to [#TILE_CHUNKS] chunks of a long one, whose partial results the kernel of joins joins.
        record Fold(String name, Stage stage, String joins) implements Kernel {
            @Override
            public List<Stage> stages() {
                return List.of(stage);
            }
        }

        /// Folds over columns; tiles are some columns of a chunk of rows.
        record Columns(String name, Stage stage, String joins) implements Kernel {
            @Override
            public List<Stage> stages() {
                return List.of(stage);
            }
        }

        /// A running sum; tiles are stretches of tensors, in order.
        record Scan(String name, Stage stage) implements Kernel {
            @Override
            public List<Stage> stages() {
                return List.of(stage);
            }
        }

        /// Stages tile by tile.
        ///
        /// @param elements that a block of threads takes at once: tiles begin at multiples of them within tensors
        record Tiles(String name, Phase.Tiling tiling, int elements) implements Kernel {
            @Override
            public List<Stage> stages() {
                return tiling.stages();
            }
        }
    }

    public CudaProgram {
        kernels = List.copyOf(kernels);
        pointers = List.copyOf(pointers);
    }

    public static CudaProgram of(Plan plan) {
        return new Writer().write(plan);
    }

    private static final class Writer {
        private final Names names = new Names();
        private final Pointers pointers = new Pointers(names);
        private final List<Kernel> kernels = new ArrayList<>();
        private final List<String> texts = new ArrayList<>();
        private final List<KernelText> functions = new ArrayList<>();
        private final Set<Table> tables = new LinkedHashSet<>();

        CudaProgram write(Plan plan) {
            for (var phase : plan.phases()) {
                var tiling = phase.tiling().filter(TileText::fits);
                if (tiling.isEmpty() || !tiles(tiling.get())) {
                    phase.passes().forEach(this::pass);
                }
            }
            var text = new StringBuilder(prelude());
            tables.forEach(table -> text.append('\n').append(text(table)));
            text.append('\n').append(pointers.struct());
            texts.forEach(kernel -> text.append('\n').append(kernel));
            text.append('\n').append(all());
            return new CudaProgram(text.toString(), kernels, pointers.all());
        }

        private KernelText kernel(String name) {
            return new KernelText(name, names, pointers);
        }

        private void add(KernelText kernel, List<Stage> stages) {
            var comment = new StringBuilder();
            for (var stage : stages) {
                stage.toString().lines().filter(line -> !line.isBlank() && !line.strip().startsWith("array "))
                        .forEach(line -> comment.append("// ").append(line).append('\n'));
            }
            texts.add(comment + kernel.text());
            tables.addAll(kernel.tables());
            functions.add(kernel);
        }

        /// Returns false if the stages together would need more shared memory than a block of threads has.
        private boolean tiles(Phase.Tiling tiling) {
            var kernel = kernel("tiles" + kernels.size());
            new TileText(kernel, tiling).emit();
            if (kernel.sharedBytes() > SHARED_BYTES_MAX) {
                return false;
            }
            kernels.add(new Kernel.Tiles(kernel.name(), tiling, TileText.elements(tiling)));
            add(kernel, tiling.stages());
            return true;
        }

        private void pass(Stage stage) {
            if (stage.folds()) {
                fold(stage);
            } else if (stage.scans()) {
                var kernel = kernel("scan" + kernels.size());
                PassText.scan(kernel, stage);
                kernels.add(new Kernel.Scan(kernel.name(), stage));
                add(kernel, List.of(stage));
            } else {
                var kernel = kernel("pass" + kernels.size());
                PassText.write(kernel, stage);
                kernels.add(new Kernel.Pass(kernel.name(), stage, PassText.countsWithinTensors(stage)));
                add(kernel, List.of(stage));
            }
        }

        private void fold(Stage stage) {
            boolean columns = stage.over().equals(Scope.COLUMN);
            var kernel = kernel("fold" + kernels.size());
            var joins = kernel("join" + kernels.size());
            if (columns) {
                new FoldText(kernel, stage).columns();
                new FoldText(joins, stage).columnJoins();
                kernels.add(new Kernel.Columns(kernel.name(), stage, joins.name()));
            } else {
                new FoldText(kernel, stage).runs();
                new FoldText(joins, stage).joins();
                kernels.add(new Kernel.Fold(kernel.name(), stage, joins.name()));
            }
            add(kernel, List.of(stage));
            add(joins, List.of());
        }

        private String all() {
            var text = new Lines();
            text.open("struct CallOfAll");
            text.line("Arrays a;");
            text.line("Work w[" + functions.size() + "];");
            text.close(";");
            text.line("");
            text.open("extern \"C\" __global__ void __launch_bounds__(THREADS) all(const __grid_constant__ CallOfAll call)");
            if (functions.stream().anyMatch(KernelText::shares)) {
                text.open("__shared__ union");
                functions.stream().filter(KernelText::shares).forEach(f -> text.line(f.sharedType() + " of_" + f.name() + ";"));
                text.close(" shared;");
            }
            for (int i = 0; i < functions.size(); i++) {
                var function = functions.get(i);
                text.line(function.name() + "_by(call.a, call.w[" + i + "], 0, 1" + (function.shares() ? ", shared.of_" + function.name() : "") + ");");
                if (i + 1 < functions.size()) {
                    text.line("__syncthreads();");
                }
            }
            text.close();
            return text.toString();
        }

        private String text(Table table) {
            var text = new Lines();
            text.open("__device__ const int " + names.of(table) + "[" + table.size() + "] =");
            for (int from = 0; from < table.size(); from += 8) {
                var line = new StringBuilder();
                for (int i = from; i < Math.min(from + 8, table.size()); i++) {
                    line.append("(int) 0x").append(Integer.toHexString(table.at(i))).append("u, ");
                }
                text.line(line.toString().strip());
            }
            text.close(table.type() == Type.F32 ? "; // the bits of reals" : ";");
            return text.toString();
        }

        private static String prelude() {
            try (var in = Objects.requireNonNull(CudaProgram.class.getResourceAsStream("prelude.cuh"))) {
                return new String(in.readAllBytes(), StandardCharsets.UTF_8);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }
}
