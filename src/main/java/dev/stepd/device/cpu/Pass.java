package dev.stepd.device.cpu;

import dev.stepd.codegen.cpu.Kernel;
import dev.stepd.device.Domain;
import dev.stepd.device.Spans;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.Order;
import dev.stepd.expr.ReduceOp;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.expr.stage.Stage;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/// One stage bound to its kernel and arrays: finds the addresses of each piece and runs it.
final class Pass extends Crew.Work implements BoundPhase {
    private static final MemorySegment ALL = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

    private static final long TAIL_BYTES = Order.LANES * Double.BYTES;

    private final Stage stage;
    private final Kernel kernel;
    private final Domain domain;
    private final List<Buffer> buffers;
    private final List<ReduceOp> ops = new ArrayList<>();
    private final boolean columns;
    private final boolean indexed;
    private final long[] bases;
    /// By buffer: where it begins in the body, or -1.
    private final long[] inBody;
    private final Type[] types;
    /// By buffer: the first index of each tensor (its first byte, where values share bytes), or nothing for what is shared by
    /// tensors.
    private final long[][] starts;
    private final boolean[] uniform;
    /// By buffer: elements of the blocks that it has a value for, if runs go through them, or 0.
    private final int[] blocks;
    private final long[][] addresses;
    private final long[][] steps;
    /// By worker: where the last few indexes of a write run.
    private final long[][] tailAddresses;
    private Pieces pieces = new Pieces(List.of(), List.of());
    private Pieces.Piece[] list = new Pieces.Piece[0];
    private long partials;
    private long partialsEach;

    Pass(
            Stage stage,
            Kernel kernel,
            Domain domain,
            List<Buffer> buffers,
            Map<Buffer, Long> inBody,
            int workers) {
        this.stage = stage;
        this.kernel = kernel;
        this.domain = domain;
        this.buffers = List.copyOf(buffers);
        this.indexed = stage.readsIndex();
        this.columns = stage.folds() && stage.over().equals(Scope.COLUMN);
        this.bases = new long[buffers.size()];
        this.inBody = buffers.stream().mapToLong(buffer -> inBody.getOrDefault(buffer, -1L)).toArray();
        this.types = new Type[buffers.size()];
        this.starts = new long[buffers.size()][];
        this.uniform = new boolean[buffers.size()];
        this.blocks = new int[buffers.size()];
        this.addresses = new long[workers][buffers.size() + 2];
        this.steps = new long[workers][buffers.size() + 2];
        this.tailAddresses = new long[workers][buffers.size() + 2];
        for (int i = 0; i < types.length; i++) {
            var scope = buffers.get(i).scope();
            types[i] = buffers.get(i).storage();
            uniform[i] = stage.uniform(buffers.get(i));
            blocks[i] = stage.follows(buffers.get(i)) ? scope.size() : 0;
            starts[i] = scope.coarserThan(Scope.TENSOR) || scope.equals(Scope.TENSOR)
                    ? new long[0]
                    : packed(i) ? domain.byteStarts(buffers.get(i)) : domain.starts(scope);
        }
        for (var output : stage.outputs()) {
            if (output instanceof Stage.Fold fold) {
                ops.add(fold.op());
            }
        }
    }

    @Override
    public long cut(Spans spans) {
        pieces = Pieces.of(stage, domain, spans, addresses.length);
        list = pieces.pieces().toArray(Pieces.Piece[]::new);
        partialsEach = pieces.partials() * Double.BYTES;
        return partialsEach * ops.size();
    }

    /// For the ends of writes and the accumulators of folds.
    @Override
    public long roomBytes() {
        return TAIL_BYTES * buffers.size() * addresses.length;
    }

    @Override
    public void bind(Map<Buffer, MemorySegment> arrays, MemorySegment room, MemorySegment partialResults) {
        partials = partialResults.address();
        for (int worker = 0; worker < tailAddresses.length; worker++) {
            for (int i = 0; i < bases.length; i++) {
                tailAddresses[worker][i] = room.address() + (worker * bases.length + i) * TAIL_BYTES;
            }
            addresses[worker][bases.length] = tailAddresses[worker][0];
        }
        for (int i = 0; i < bases.length; i++) {
            var array = arrays.get(buffers.get(i));
            bases[i] = array == null ? 0 : array.address();
        }
    }

    @Override
    public void run(Crew crew, long body) {
        for (int i = 0; i < bases.length; i++) {
            if (inBody[i] >= 0) {
                bases[i] = body + inBody[i];
            }
        }
        if (stage.scans()) {
            scan();
            return;
        }
        crew.run(this, list.length);
        var joins = pieces.joins();
        for (int i = 0; i < joins.size(); i++) {
            join(joins.get(i));
        }
    }

    /// The tensors' pieces in order, the sum so far in memory of the caller's.
    private void scan() {
        Partials.set(types[bases.length - 1], addresses[0][bases.length], 0);
        for (int i = 0; i < list.length; i++) {
            piece(i, 0);
        }
    }

    @Override
    void piece(int index, int worker) {
        var piece = list[index];
        var at = addresses[worker];
        int reads = buffers.size() - ops.size();
        for (int i = 0; i < reads; i++) {
            at[i] = bases[i] + offset(i, piece, 0);
        }
        origin(piece, 0, at);
        if (stage.scans()) {
            kernel.run(at, piece.count());
        } else if (!stage.folds()) {
            write(piece.count(), at, worker);
        } else if (columns) {
            rows(piece, at, steps[worker], reads);
        } else {
            chunks(piece, at, reads);
        }
    }

    /// Kernels write whole turns. What is left runs in memory of its own, so that nothing past the end is written, where
    /// another tensor may begin that another thread is at.
    private void write(long count, long[] at, int worker) {
        long whole = count - count % Order.LANES;
        if (whole > 0) {
            kernel.run(at, whole);
        }
        if (whole < count) {
            tail(whole, count - whole, at, tailAddresses[worker]);
        }
    }

    private void tail(long first, long count, long[] at, long[] there) {
        int inputs = buffers.size() - stage.outputs().size();
        for (int i = 0; i < inputs; i++) {
            if (uniform[i]) {
                there[i] = at[i];
            } else if (blocks[i] > 0) {
                there[i] = at[i] + types[i].bytes(first / blocks[i]);
            } else {
                MemorySegment.copy(ALL, at[i] + types[i].bytes(first), ALL, there[i], types[i].bytes(count));
            }
        }
        there[buffers.size() + 1] = at[buffers.size() + 1] + first;
        kernel.run(there, Order.LANES);
        for (int i = inputs; i < buffers.size(); i++) {
            if (packed(i) && count % 2 == 1) {
                Partials.pad(there[i] + count / 2);
            }
            MemorySegment.copy(ALL, there[i], ALL, at[i] + types[i].bytes(first), types[i].bytes(count));
        }
    }

    private boolean packed(int buffer) {
        return types[buffer] == Type.I4;
    }

    /// Where the value of a buffer lies that belongs to the `done`-th index of a piece.
    private long offset(int buffer, Pieces.Piece piece, long done) {
        return packed(buffer)
                ? starts[buffer][piece.tensor()] + types[buffer].bytes(piece.within() + done)
                : index(buffer, piece, done) * types[buffer].bytes();
    }

    /// Tells a kernel which element of the session the `done`-th of a piece is.
    private void origin(Pieces.Piece piece, long done, long[] at) {
        if (indexed) {
            at[buffers.size() + 1] = domain.tensors().get(piece.tensor()).origin() + piece.within() + done;
        }
    }

    /// The index of the value of a buffer that belongs to the `done`-th index of a piece.
    private long index(int buffer, Pieces.Piece piece, long done) {
        var scope = buffers.get(buffer).scope();
        if (scope.equals(stage.scope())) {
            return piece.first() + done;
        }
        var tensor = domain.tensors().get(piece.tensor());
        long within = piece.within() + done;
        // Rows of nothing are runs too, of no elements: they fold to the identity.
        long columns = Math.max(1, tensor.columns());
        return switch (scope.kind()) {
            case SESSION -> 0;
            case GROUP -> tensor.group();
            case TENSOR -> piece.tensor();
            case ROW -> starts[buffer][piece.tensor()] + within / columns;
            case COLUMN -> {
                long slab = within / Math.max(1, tensor.rows() * columns);
                yield starts[buffer][piece.tensor()] + slab * columns + within % columns;
            }
            case BLOCK -> starts[buffer][piece.tensor()] + within / scope.size();
            case ELEMENT -> throw new IllegalStateException("elements in a pass over " + stage.scope());
        };
    }

    private void chunks(Pieces.Piece piece, long[] at, int reads) {
        for (int i = 0; i < ops.size(); i++) {
            long base = piece.partial() ? partials + i * partialsEach : bases[reads + i];
            at[reads + i] = base + piece.result() * types[reads + i].bytes();
        }
        for (long done = 0; done == 0 || done < piece.count(); done += Order.CHUNK) {
            kernel.run(at, Math.min(Order.CHUNK, piece.count() - done));
            for (int i = 0; i < reads; i++) {
                if (!uniform[i]) {
                    at[i] += types[i].bytes(blocks[i] > 0 ? Order.CHUNK / blocks[i] : Order.CHUNK);
                }
            }
            for (int i = 0; i < ops.size(); i++) {
                at[reads + i] += types[reads + i].bytes();
            }
            at[buffers.size() + 1] += Order.CHUNK;
        }
    }

    /// Joins row after row to accumulators that start at the identity.
    private void rows(Pieces.Piece piece, long[] at, long[] steps, int reads) {
        long width = domain.tensors().get(piece.tensor()).columns();
        for (int i = 0; i < ops.size(); i++) {
            long bytes = types[reads + i].bytes();
            at[reads + i] = partials + i * partialsEach + piece.result() * bytes;
            for (long column = 0; column < width; column++) {
                Partials.set(types[reads + i], at[reads + i] + column * bytes, ops.get(i).identity());
            }
        }
        long rows = width == 0 ? 0 : piece.count() / width;
        if (rows > 0) {
            kernel.run(at, Math.ceilDiv(width, Order.LANES) * Order.LANES, rowSteps(steps, width), rows);
        }
    }

    /// From row to row.
    private long[] rowSteps(long[] steps, long width) {
        for (int i = 0; i < buffers.size() - ops.size(); i++) {
            var scope = buffers.get(i).scope();
            steps[i] = scope.isElement() ? types[i].bytes(width) : scope.equals(Scope.ROW) ? types[i].bytes() : 0;
        }
        steps[buffers.size() + 1] = width;
        return steps;
    }

    /// Joins partial results pairwise, neighbours first, as [Order#joinPairwise].
    private void join(Pieces.Join join) {
        int reads = buffers.size() - ops.size();
        for (int i = 0; i < ops.size(); i++) {
            int output = reads + i;
            long bytes = types[output].bytes();
            for (long value = 0; value < join.width(); value++) {
                long from = partials + i * partialsEach + (join.from() + value) * bytes;
                double joined =
                        Partials.joinPairwise(ops.get(i), types[output], from, join.stride() * bytes, join.count());
                Partials.set(types[output], bases[output] + (join.target() + value) * bytes, joined);
            }
        }
    }
}
