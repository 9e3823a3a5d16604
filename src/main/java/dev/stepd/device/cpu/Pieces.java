package dev.stepd.device.cpu;

import dev.stepd.device.Domain;
import dev.stepd.device.Spans;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.Order;
import dev.stepd.expr.Scope;
import dev.stepd.expr.stage.Stage;
import java.util.ArrayList;
import java.util.List;

/// How the indexes of a pass are cut for threads, for one choice of tensors: at the ends of runs, and long runs further.
///
/// @param pieces in index order
/// @param joins the runs of a fold whose partial results are still to be joined
record Pieces(List<Piece> pieces, List<Join> joins) {
    /// Indexes of a piece: enough to hide its call and to stream, few enough that threads end together.
    private static final long GRAIN_MIN = 8 * 1024;
    private static final long GRAIN_MAX = 256 * 1024;
    /// Pieces for each thread, where they need not be longer or shorter.
    private static final int PIECES_EACH = 4;

    /// @param first index of the first value in the pass's scope
    /// @param tensor position of the tensor they lie in (the first, where a run covers several)
    /// @param within how far into that tensor the first lies, in the pass's scope
    /// @param result a fold's: index of the first partial result if `partial`, else of the target
    record Piece(long first, long count, int tensor, long within, long result, boolean partial) {}

    /// Partial results `from`, `from + stride`, ... that become value `target`, for `width` values side by side.
    record Join(long from, long count, long stride, long width, long target) {}

    /// Partial results needed in memory, for each output.
    long partials() {
        return joins.stream().mapToLong(join -> join.count * join.stride).sum();
    }

    /// @param workers threads that will share them
    static Pieces of(Stage stage, Domain domain, Spans spans, int workers) {
        return new Cutter(stage, domain, workers).cut(spans);
    }

    /// How much a thread takes at once: whole chunks, so that the order of a fold does not depend on it.
    static long grain(long count, int workers) {
        long even = Math.ceilDiv(count, (long) PIECES_EACH * workers);
        return Math.ceilDiv(Math.clamp(even, GRAIN_MIN, GRAIN_MAX), Order.CHUNK) * Order.CHUNK;
    }

    private static final class Cutter {
        private final Stage stage;
        private final Domain domain;
        private final int workers;
        private final long[] starts;
        private final List<Piece> pieces = new ArrayList<>();
        private final List<Join> joins = new ArrayList<>();
        private final boolean indexed;
        private final boolean packed;
        private long partial;

        Cutter(Stage stage, Domain domain, int workers) {
            this.stage = stage;
            this.domain = domain;
            this.workers = workers;
            this.indexed = stage.readsIndex();
            this.packed = stage.packs();
            this.starts = switch (stage.scope().kind()) {
                case SESSION, GROUP -> new long[0];
                case TENSOR, ROW, COLUMN, BLOCK, ELEMENT -> domain.starts(stage.scope());
            };
        }

        Pieces cut(Spans spans) {
            switch (stage.scope().kind()) {
                case SESSION, GROUP -> whole(domain.count(stage.scope()));
                case TENSOR -> tensors(spans);
                case ROW, COLUMN, BLOCK, ELEMENT -> spans.spans().forEach(this::span);
            }
            return new Pieces(List.copyOf(pieces), List.copyOf(joins));
        }

        /// All values of a coarse scope, absent tensors' included.
        private void whole(long count) {
            run(0, count, 0, 0, 0);
        }

        private void tensors(Spans spans) {
            if (!stage.folds()) {
                spans.spans().forEach(span -> run(span.from(), span.to() - span.from(), span.from(), 0, 0));
            } else if (stage.over().equals(Scope.SESSION)) {
                whole(domain.tensors().size());
            } else {
                groups();
            }
        }

        private void groups() {
            int from = 0;
            for (int group = 0; group < domain.groups(); group++) {
                int to = from;
                while (to < domain.tensors().size() && domain.tensors().get(to).group() == group) {
                    to++;
                }
                run(from, to - from, from, 0, group);
                from = to;
            }
        }

        private void span(Spans.Span span) {
            var runs = stage.runs();
            switch (runs.kind()) {
                case SESSION, GROUP -> neighbours(span);
                case TENSOR, ROW, BLOCK, ELEMENT -> {
                    for (int tensor = span.from(); tensor < span.to(); tensor++) {
                        tensor(tensor, runs);
                    }
                }
                case COLUMN -> throw new IllegalStateException("no runs of a " + runs + ": " + stage);
            }
        }

        /// All of a span, but where the pass asks for indexes only as far as they go on, and where it packs values as long as
        /// tensors end with a byte.
        private void neighbours(Spans.Span span) {
            for (int from = span.from(); from < span.to(); ) {
                int to = from + 1;
                while (to < span.to() && goesOn(to)) {
                    to++;
                }
                run(starts[from], starts[to] - starts[from], from, 0, 0);
                from = to;
            }
        }

        private boolean goesOn(int tensor) {
            var before = domain.tensors().get(tensor - 1);
            boolean follows = before.origin() + before.elements() == domain.tensors().get(tensor).origin();
            return (follows || !indexed) && (before.elements() % 2 == 0 || !packed);
        }

        private void tensor(int tensor, Scope runs) {
            if (runs.equals(Scope.TENSOR)) {
                run(starts[tensor], starts[tensor + 1] - starts[tensor], tensor, 0, tensor);
                return;
            }
            if (stage.folds() && stage.over().equals(Scope.COLUMN)) {
                columns(tensor);
                return;
            }
            if (runs.isElement()) {
                crossed(tensor);
                return;
            }
            var shape = domain.tensors().get(tensor);
            long length = runs.equals(Scope.ROW) ? shape.columns() : runs.size();
            long first = domain.starts(runs)[tensor];
            for (long i = 0; i < shape.count(runs); i++) {
                long start = i * length;
                run(starts[tensor] + start, Math.min(length, shape.elements() - start), tensor, start, first + i);
            }
        }

        /// Rows and blocks that cut across each other: a run ends wherever any of them does.
        private void crossed(int tensor) {
            var shape = domain.tensors().get(tensor);
            var lengths = stage.reads().stream()
                    .map(Buffer::scope)
                    .filter(scope -> Scope.TENSOR.coarserThan(scope) && !scope.isElement())
                    .mapToLong(scope -> scope.kind() == Scope.Kind.BLOCK ? scope.size() : shape.columns())
                    .distinct()
                    .toArray();
            for (long start = 0; start < shape.elements(); ) {
                long end = shape.elements();
                for (long length : lengths) {
                    end = Math.min(end, (start / length + 1) * length);
                }
                run(starts[tensor] + start, end - start, tensor, start, 0);
                start = end;
            }
        }

        /// Chunks of rows; the accumulators of each lie side by side.
        private void columns(int tensor) {
            var shape = domain.tensors().get(tensor);
            long width = shape.columns();
            long stride = Math.ceilDiv(width, Order.LANES) * Order.LANES; // kernels join whole turns
            long chunks = Math.max(1, Math.ceilDiv(shape.rows(), Order.COLUMN_CHUNK));
            for (long slab = 0; slab < shape.slabs(); slab++) {
                long end = (slab + 1) * shape.rows() * width;
                for (long chunk = 0; chunk < chunks; chunk++) {
                    long start = end - shape.rows() * width + chunk * Order.COLUMN_CHUNK * width;
                    long count = Math.min(Order.COLUMN_CHUNK * width, end - start);
                    pieces.add(new Piece(
                            starts[tensor] + start, count, tensor, start, partial + chunk * stride, true));
                }
                joins.add(new Join(
                        partial, chunks, stride, width, domain.starts(Scope.COLUMN)[tensor] + slab * width));
                partial += chunks * stride;
            }
        }

        /// One run, in pieces of whole chunks.
        private void run(long first, long count, int tensor, long within, long target) {
            boolean partials = stage.folds() && count > Order.CHUNK;
            if (count == 0 && !stage.folds()) {
                return;
            }
            long grain = grain(count, workers);
            for (long done = 0; done == 0 || done < count; done += grain) {
                long result = partials ? partial + done / Order.CHUNK : target;
                pieces.add(new Piece(
                        first + done, Math.min(grain, count - done), tensor, within + done, result, partials));
            }
            if (partials) {
                joins.add(new Join(partial, Order.chunks(count), 1, 1, target));
                partial += Order.chunks(count);
            }
        }
    }
}
