package dev.stepd.device.cuda;

import dev.stepd.codegen.cuda.CudaProgram;
import dev.stepd.codegen.cuda.CudaProgram.Kernel;
import dev.stepd.device.Domain;
import dev.stepd.device.Spans;
import dev.stepd.expr.Scope;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// One kernel of a bound plan: its tables for the tensors of a step, and its arguments.
final class KernelLaunch {
    /// Of `struct Work` behind the pointers.
    private static final int TILES = 0;
    private static final int TENSORS = 8;
    private static final int JOINS = 16;
    private static final int PARTIALS = 24;
    private static final int COUNT = 32;
    private static final int PARTIALS_EACH = 40;
    private static final int WORK_BYTES = 48;

    /// Enough tiles for every multiprocessor several times over, but no shorter than one turn of a block's threads.
    private static final int TILES_EACH = 8;
    private static final long TILE_ELEMENTS_MAX = 8L * CudaProgram.TILE_ELEMENTS;

    /// Tiles that a block takes at most: some ten microseconds each.
    private static final int BLOCK_TILES_MAX = 8;

    private final CudaDevice device;
    private final Kernel kernel;
    private final CudaFunction function;
    private final @Nullable CudaFunction joins;
    private final int pointers;
    private final int blocksMax;
    private final Arguments arguments;
    private final @Nullable Arguments joinArguments;
    private @Nullable Cutting cutting;
    private long tilesAddress;
    private int tileCount;
    private int joinCount;

    /// @param pointers members of `struct Arrays`
    KernelLaunch(CudaDevice device, CudaModule module, Kernel kernel, int pointers) {
        this.device = device;
        this.kernel = kernel;
        this.pointers = pointers;
        this.function = module.function(kernel.name());
        var joining = kernel instanceof Kernel.Fold fold ? fold.joins()
                : kernel instanceof Kernel.Columns columns ? columns.joins() : null;
        this.joins = joining == null ? null : module.function(joining);
        int resident = Math.max(1, function.residentBlocks(CudaProgram.THREADS, 0));
        this.blocksMax = device.properties().multiprocessors() * resident;
        this.arguments = new Arguments(argumentBytes());
        this.joinArguments = joining == null ? null : new Arguments(argumentBytes());
    }

    long argumentBytes() {
        return 8L * pointers + WORK_BYTES;
    }

    Kernel kernel() {
        return kernel;
    }

    /// The kernel's, and that of its joins.
    Stream<CudaFunction> functions() {
        return joins == null ? Stream.of(function) : Stream.of(function, joins);
    }

    /// Cuts the tables; returns the bytes they need.
    long cut(Domain domain, Spans spans) {
        cutting = Cutting.of(kernel, domain, spans, tileElements(domain));
        return cutting.tiles().byteSize() + cutting.joins().byteSize();
    }

    private long tileElements(Domain domain) {
        long even = domain.count(Scope.ELEMENT) / ((long) device.properties().multiprocessors() * TILES_EACH);
        long turn = CudaProgram.TILE_ELEMENTS;
        return Math.clamp(even / turn * turn, turn, TILE_ELEMENTS_MAX);
    }

    Cutting cutting() {
        return java.util.Objects.requireNonNull(cutting);
    }

    /// Bytes of partial results, which no other kernel needs at the same time.
    long partialBytes() {
        return cutting().partials() * Double.BYTES * kernel.stages().getFirst().outputs().size();
    }

    /// Copies the tables to the device.
    ///
    /// @param at where in `room` there is space
    /// @return where there is space behind them
    long place(CudaArray room, long at, long tensors) {
        var tiles = cutting().tiles();
        var joined = cutting().joins();
        room.write(at, tiles.rows());
        room.write(at + tiles.byteSize(), joined.rows());
        tilesAddress = room.address() + at;
        tileCount = tiles.count();
        joinCount = joined.count();
        work(arguments, tilesAddress, tileCount, tensors);
        if (joinArguments != null) {
            work(joinArguments, tilesAddress, joinCount, tensors);
            set(joinArguments, JOINS, tilesAddress + tiles.byteSize());
        }
        return at + tiles.byteSize() + joined.byteSize();
    }

    private void work(Arguments to, long tiles, long count, long tensors) {
        set(to, TILES, tiles);
        set(to, TENSORS, tensors);
        set(to, COUNT, count);
        set(to, PARTIALS_EACH, cutting().partials());
    }

    private void set(Arguments to, int member, long value) {
        to.segment().set(ValueLayout.JAVA_LONG, 8L * pointers + member, value);
    }

    void partials(long address) {
        set(arguments, PARTIALS, address);
        if (joinArguments != null) {
            set(joinArguments, PARTIALS, address);
        }
    }

    /// Sets a member of `struct Arrays`.
    void point(int member, long address) {
        arguments.segment().set(ValueLayout.JAVA_LONG, 8L * member, address);
        if (joinArguments != null) {
            joinArguments.segment().set(ValueLayout.JAVA_LONG, 8L * member, address);
        }
    }

    /// Bytes of `struct Work` of the kernel, and of its joins.
    long workBytes() {
        return WORK_BYTES * (joinArguments == null ? 1L : 2L);
    }

    /// Copies these structs; returns where there is space behind them.
    long copyWorks(MemorySegment into, long at) {
        MemorySegment.copy(arguments.segment(), 8L * pointers, into, at, WORK_BYTES);
        if (joinArguments != null) {
            MemorySegment.copy(joinArguments.segment(), 8L * pointers, into, at + WORK_BYTES, WORK_BYTES);
        }
        return at + workBytes();
    }

    void launch(CudaStream stream) {
        launch(stream, function, tileCount, arguments);
        if (joins != null && joinArguments != null) {
            // columns join side by side: as many blocks as there are partial results to go round
            boolean columns = kernel instanceof Kernel.Columns && joinCount > 0;
            launch(stream, joins, columns ? joinBlocks() : joinCount, joinArguments);
        }
    }

    private int joinBlocks() {
        return (int) Math.min(blocksMax, Math.ceilDiv(cutting().partials(), (long) CudaProgram.THREADS));
    }

    /// Enough blocks to fill the device, and more where each would take long: other sessions' blocks get their turn in between.
    private void launch(CudaStream stream, CudaFunction which, int count, Arguments with) {
        if (count > 0) {
            int blocks = Math.max(blocksMax, Math.ceilDiv(count, BLOCK_TILES_MAX));
            stream.launch(which, Math.min(count, blocks), CudaProgram.THREADS, 0, with);
        }
    }

    /// Runs some of the tiles.
    void launchSome(CudaStream stream, Arguments own, int from, int to) {
        MemorySegment.copy(arguments.segment(), 0, own.segment(), 0, argumentBytes());
        set(own, TILES, tilesAddress + (long) from * Table.TILE_BYTES);
        set(own, COUNT, to - from);
        launch(stream, function, to - from, own);
    }
}
