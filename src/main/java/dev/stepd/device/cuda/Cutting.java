package dev.stepd.device.cuda;

import dev.stepd.codegen.cuda.CudaProgram;
import dev.stepd.codegen.cuda.CudaProgram.Kernel;
import dev.stepd.device.Domain;
import dev.stepd.device.Spans;
import dev.stepd.expr.Order;
import dev.stepd.expr.Scope;
import dev.stepd.expr.stage.Stage;

/// Cuts what a kernel runs over into tiles, for one choice of tensors: the tables of `prelude.cuh`. Results do not depend on it, but
/// for what [Order] says of chunks.
final class Cutting {
    private final Domain domain;
    private final Spans spans;
    private final long tileElements;
    private final Table tiles = new Table(Table.TILE_BYTES);
    private final Table joins = new Table(Table.JOIN_BYTES);
    private long partials;

    /// @param tileElements of a pass, a multiple of four threads' fours
    private Cutting(Domain domain, Spans spans, long tileElements) {
        this.domain = domain;
        this.spans = spans;
        this.tileElements = tileElements;
    }

    static Cutting of(Kernel kernel, Domain domain, Spans spans, long tileElements) {
        var cutting = new Cutting(domain, spans, tileElements);
        switch (kernel) {
            case Kernel.Pass pass -> cutting.pass(pass);
            case Kernel.Tiles(String _, _, int elements) ->
                cutting.tensors(Scope.ELEMENT, tileElements / CudaProgram.TILE_ELEMENTS * elements, true);
            case Kernel.Scan(String _, Stage stage) -> cutting.stretches(stage.scope());
            case Kernel.Columns _ -> cutting.columns();
            case Kernel.Fold(String _, Stage stage, String _) -> cutting.fold(stage);
        }
        return cutting;
    }

    Table tiles() {
        return tiles;
    }

    /// Of partial results, the runs that they are of.
    Table joins() {
        return joins;
    }

    /// How many partial results each output has.
    long partials() {
        return partials;
    }

    private void pass(Kernel.Pass pass) {
        var scope = pass.stage().scope();
        switch (scope.kind()) {
            case SESSION, GROUP -> stretch(0, domain.count(scope), 0, 0, false);
            case TENSOR -> stretches(scope);
            case ROW, COLUMN, BLOCK, ELEMENT -> tensors(scope, tileElements, pass.aligned());
        }
    }

    /// The tensors themselves, those that take part.
    private void stretches(Scope scope) {
        for (var span : spans.spans()) {
            stretch(span.from(), span.to() - span.from(), span.from(), span.from(), false);
        }
        if (!scope.equals(Scope.TENSOR)) {
            throw new IllegalStateException("stretches of " + scope);
        }
    }

    private void tensors(Scope scope, long size, boolean aligned) {
        var starts = domain.starts(scope);
        for (var span : spans.spans()) {
            for (int tensor = span.from(); tensor < span.to(); tensor++) {
                long count = starts[tensor + 1] - starts[tensor];
                for (long done = 0; done < count; done += size) {
                    long first = starts[tensor] + done;
                    stretch(first, Math.min(size, count - done), done, tensor, !aligned);
                }
            }
        }
    }

    private void stretch(long first, long count, long within, int tensor, boolean leads) {
        for (long done = 0; done < count; done += Integer.MAX_VALUE / 2) {
            int some = (int) Math.min(Integer.MAX_VALUE / 2, count - done);
            tiles.tile(first + done, within + done, 0, 0, 0, some, tensor, leads ? (int) (first + done & 3) : 0, 0, 0, false);
        }
    }

    private void fold(Stage stage) {
        var scope = stage.scope();
        var over = stage.over();
        if (scope.equals(Scope.GROUP)) {
            runs(0, 1, domain.groups(), domain.groups(), 0, 0);
        } else if (!scope.equals(Scope.TENSOR)) {
            finer(scope, over);
        } else if (over.equals(Scope.SESSION)) {
            runs(0, 1, domain.tensors().size(), domain.tensors().size(), 0, 0);
        } else {
            groups();
        }
    }

    /// The tensors of each group, absent ones included: they hold the identity.
    private void groups() {
        int from = 0;
        for (int group = 0; group < domain.groups(); group++) {
            int to = from;
            while (to < domain.tensors().size() && domain.tensors().get(to).group() == group) {
                to++;
            }
            runs(from, 1, to - from, to - from, 0, group);
            from = to;
        }
    }

    private void finer(Scope scope, Scope over) {
        var starts = domain.starts(scope);
        var targets = over.equals(Scope.TENSOR) ? null : domain.starts(over);
        for (var span : spans.spans()) {
            for (int tensor = span.from(); tensor < span.to(); tensor++) {
                var shape = domain.tensors().get(tensor);
                long end = starts[tensor + 1] - starts[tensor];
                if (targets == null) {
                    runs(starts[tensor], 1, end, end, tensor, tensor);
                } else {
                    long length = over.equals(Scope.ROW) ? shape.columns() : over.size();
                    runs(starts[tensor], shape.count(over), length, end, tensor, targets[tensor]);
                }
            }
        }
    }

    /// Runs side by side.
    ///
    /// @param first index of their first value
    /// @param length values of each, of the last perhaps fewer
    /// @param end values in all
    /// @param target index of the first result
    private void runs(long first, long runs, long length, long end, int tensor, long target) {
        long chunks = Order.chunks(length);
        if (chunks > CudaProgram.TILE_CHUNKS) {
            for (long run = 0; run < runs; run++) {
                long left = Order.chunks(Math.min(length, end - run * length)); // the last run may have fewer
                longRun(first + run * length, run * length, length, left, end, tensor, target + run);
            }
            return;
        }
        long each = CudaProgram.TILE_CHUNKS / chunks;
        for (long run = 0; run < runs; run += each) {
            tiles.tile(first + run * length, run * length, target + run, length, end, (int) Math.min(each, runs - run), tensor, 0, 0,
                    (int) chunks, false);
        }
    }

    private void longRun(long first, long within, long length, long chunks, long end, int tensor, long target) {
        long count = Math.ceilDiv(chunks, (long) CudaProgram.TILE_CHUNKS);
        joins.join(partials, 1, count, target, 1);
        for (long chunk = 0; chunk < chunks; chunk += CudaProgram.TILE_CHUNKS) {
            int some = (int) Math.min(CudaProgram.TILE_CHUNKS, chunks - chunk);
            tiles.tile(first, within, partials++, length, end, 1, tensor, 0, Math.toIntExact(chunk), some, true);
        }
    }

    private void columns() {
        var starts = domain.starts(Scope.ELEMENT);
        var targets = domain.starts(Scope.COLUMN);
        for (var span : spans.spans()) {
            for (int tensor = span.from(); tensor < span.to(); tensor++) {
                var shape = domain.tensors().get(tensor);
                long width = shape.columns();
                for (long slab = 0; slab < shape.slabs() && width > 0; slab++) {
                    slab(starts[tensor], slab * shape.rows() * width, shape.rows(), width, tensor, targets[tensor] + slab * width);
                }
            }
        }
    }

    private void slab(long start, long within, long rows, long width, int tensor, long target) {
        long chunks = Math.max(1, Math.ceilDiv(rows, (long) Order.COLUMN_CHUNK));
        boolean partial = chunks > 1;
        if (partial) {
            joins.join(partials, width, chunks, target, width);
        }
        for (long chunk = 0; chunk < chunks; chunk++) {
            int some = (int) Math.min(Order.COLUMN_CHUNK, rows - chunk * Order.COLUMN_CHUNK);
            long row = within + chunk * Order.COLUMN_CHUNK * width;
            for (long column = 0; column < width; column += CudaProgram.TILE_ELEMENTS) {
                long first = start + row + column;
                int count = (int) Math.min(CudaProgram.TILE_ELEMENTS, width - column);
                long result = partial ? partials + chunk * width + column : target + column;
                tiles.tile(first, row + column, result, width, 0, count, tensor, (int) (first & 3), some, 0, partial);
            }
        }
        partials += partial ? chunks * width : 0;
    }
}
