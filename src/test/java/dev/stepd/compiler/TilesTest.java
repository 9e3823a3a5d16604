package dev.stepd.compiler;

import static dev.stepd.compiler.Agreement.slot;
import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.device.Array;
import dev.stepd.device.Domain;
import dev.stepd.device.Spans;
import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.CompareOp;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Interpreter.Extent;
import dev.stepd.expr.Program;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.ReduceOp;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.expr.UnaryOp;
import dev.stepd.expr.rewrite.Rewrites;
import dev.stepd.expr.stage.Phase;
import dev.stepd.expr.stage.Planner;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Programs whose stages run together, tile after tile: state kept relative to the largest or the norm of a block or row, and
/// what comes before, between and after. The bits are the interpreter's.
@Tag("gpu")
class TilesTest {
    private static final Agreement AGREEMENT = new Agreement();

    private static final Expr GRAD = new Expr.Read(new Buffer(Buffer.Kind.GRAD, "grad", Scope.ELEMENT, Type.F32));
    private static final Buffer DELTA = new Buffer(Buffer.Kind.DELTA, "delta", Scope.ELEMENT, Type.F32);
    private static final Expr PARAM = new Expr.Read(new Buffer(Buffer.Kind.PARAM, "param", Scope.ELEMENT, Type.F32));

    /// Ends of blocks and turns, an absent tensor, several tiles.
    private static final List<Extent> TENSORS = List.of(
            new Extent(0, 0, 0, true, 1), new Extent(1, 1, 0, true, 1), new Extent(255, 255, 0, true, 1),
            new Extent(256, 16, 0, true, 1), new Extent(257, 1, 0, true, 1), new Extent(1000, 8, 0, false, 1),
            new Extent(40_001, 1, 0, true, 1), new Extent(17, 1, 1, true, 4), new Extent(16_385, 5, 1, true, 4));

    /// Rows of one element, of nothing, of 9, 147 and 3000; rows that are longer than a tile may be; a row of them all.
    private static final List<Extent> MATRICES = List.of(
            new Extent(300, 300, 0, true, 1), new Extent(0, 3, 0, true, 1), new Extent(18_000, 2000, 0, true, 1),
            new Extent(147 * 33, 33, 0, false, 1), new Extent(147 * 20, 20, 0, true, 1), new Extent(9000, 3, 1, true, 2),
            new Extent(2 * 17_000, 2, 1, true, 2), new Extent(64, 1, 1, true, 2), new Extent(600, 4, 5, 1, true, 2, 0));

    @AfterAll
    static void close() {
        AGREEMENT.close();
    }

    static List<Scope> blocks() {
        return List.of(Scope.block(256), Scope.block(16), Scope.block(1024), Scope.block(7), Scope.block(96),
                Scope.block(3000), Scope.block(20_000));
    }

    /// The running mean of `value`, kept in shares of the largest of each index of `over`.
    private static Expr relative(String name, Expr value, double beta, Scope over, List<Assignment> all) {
        var share = slot(name, Scope.ELEMENT, Type.F32);
        var scale = slot(name + "_scale", over, Type.F32);
        var next = Expr.constant(beta).times(share.times(scale)).plus(value.times(1 - beta));
        var largest = new Expr.Reduce(ReduceOp.MAX, over, new Expr.Unary(UnaryOp.ABS, next));
        var positive = Expr.compare(CompareOp.LT, Expr.constant(0), largest);
        var divisor = Expr.select(positive, largest, Expr.constant(1));
        all.add(new Assignment(((Expr.Read) share).buffer(), next.over(divisor)));
        all.add(new Assignment(((Expr.Read) scale).buffer(), largest));
        return next;
    }

    /// Adam with decoupled weight decay over the running means.
    private static void update(Expr m, Expr v, List<Assignment> all) {
        var root = new Expr.Unary(UnaryOp.SQRT, v).plus(1e-8);
        var delta = new Expr.Hyper("lr").negate().times(m.over(root)).minus(PARAM.times(new Expr.Hyper("wd")));
        all.add(new Assignment(DELTA, delta));
        all.add(new Assignment(((Expr.Read) PARAM).buffer(), PARAM.plus(delta)));
    }

    private static Program adam(Scope first, Scope second) {
        var all = new ArrayList<Assignment>();
        var m = relative("m", GRAD, 0.9, first, all);
        var v = relative("v", GRAD.squared(), 0.99, second, all);
        update(m, v, all);
        return new Program(all);
    }

    @ParameterizedTest
    @MethodSource("blocks")
    void keepMomentsRelativeToBlocks(Scope block) {
        AGREEMENT.check(adam(block, block), TENSORS, World.Values.TAME);
        AGREEMENT.check(adam(block, block), TENSORS, World.Values.SPECIAL);
    }

    @ParameterizedTest
    @MethodSource("blocks")
    void keepMomentsRelativeToBlocksOfTwoSizes(Scope block) {
        AGREEMENT.check(adam(block, Scope.block(128)), TENSORS, World.Values.TAME);
    }

    @Test
    void keepMomentsRelativeToRows() {
        AGREEMENT.check(adam(Scope.ROW, Scope.ROW), MATRICES, World.Values.TAME);
        AGREEMENT.check(adam(Scope.ROW, Scope.ROW), MATRICES, World.Values.SPECIAL);
        AGREEMENT.check(adam(Scope.ROW, Scope.ROW), TENSORS, World.Values.TAME);
    }

    @ParameterizedTest
    @MethodSource("blocks")
    void keepMomentsRelativeToRowsAndBlocks(Scope block) {
        AGREEMENT.check(adam(Scope.ROW, block), MATRICES, World.Values.TAME);
    }

    /// Gradients clipped by row, means by column taken off, state by block, a trust ratio by tensor and the norm of all: passes over
    /// all memory before, between and behind the tiles.
    @ParameterizedTest
    @ValueSource(ints = {256, 7})
    void runBetweenPasses(int size) {
        var all = new ArrayList<Assignment>();
        var wide = GRAD.as(Type.F64);
        var rowNorm = new Expr.Unary(UnaryOp.SQRT, new Expr.Reduce(ReduceOp.SUM, Scope.ROW, wide.squared()));
        var columnSum = new Expr.Reduce(ReduceOp.SUM, Scope.COLUMN, wide);
        var clipped = GRAD.over(rowNorm.plus(1.0)).minus(columnSum.times(0.001));
        var m = relative("m", clipped, 0.9, Scope.block(size), all);
        var norm = new Expr.Reduce(ReduceOp.SUM, Scope.TENSOR, m.as(Type.F64).squared());
        var total = new Expr.Reduce(ReduceOp.SUM, Scope.SESSION, norm);
        all.add(new Assignment(DELTA, m.times(new Expr.Hyper("lr")).over(norm.plus(1.0)).over(total.plus(1.0))));
        all.add(Agreement.write(Scope.SESSION, total));
        AGREEMENT.check(new Program(all), MATRICES, World.Values.TAME);
        AGREEMENT.check(new Program(all), TENSORS, World.Values.TAME);
    }

    /// A tensor's norm of what blocks scale needs no array of elements: the pass takes the scales as it comes to them.
    @Test
    void foldOverTensorsWhatBlocksScale() {
        var decoded = slot("q", Scope.ELEMENT, Type.F32).times(slot("s", Scope.block(64), Type.F32));
        var norm = new Expr.Reduce(ReduceOp.SUM, Scope.TENSOR, decoded.as(Type.F64).squared());
        var program = new Program(List.of(
                Agreement.write(Scope.TENSOR, norm), Agreement.write(Scope.ELEMENT, decoded.over(norm.plus(1.0)))));
        AGREEMENT.check(program, TENSORS, World.Values.TAME);
        var plan = Planner.plan(Rewrites.expand(program));
        assertThat(plan.stages()).flatExtracting(stage -> stage.outputs().stream().map(o -> o.target()).toList())
                .noneMatch(b -> ((Buffer) b).kind() == Buffer.Kind.TEMP && ((Buffer) b).scope().isElement());
    }

    /// What a fold and a write both need is computed once, and lies in no array.
    @Test
    void shareValuesWithinTiles() {
        var plan = Planner.plan(Rewrites.expand(adam(Scope.block(256), Scope.block(256))));
        assertThat(plan.phases()).hasSize(1);
        var tiling = plan.phases().getFirst().tiling().orElseThrow();
        assertThat(tiling.unit()).isEqualTo(Scope.block(256));
        assertThat(tiling.stages()).hasSize(3);
        assertThat(tiling.locals()).filteredOn(local -> local.scope().isElement()).hasSize(2);
        assertThat(tiling.stages().getLast().reads()).doesNotContain(((Expr.Read) GRAD).buffer());
    }

    @ParameterizedTest
    @MethodSource("units")
    void keepLocalsInMemoryOfTheWorkers(Scope over) {
        int elements = 1 << 20;
        var plan = Planner.plan(Rewrites.expand(adam(over, over)));
        assertThat(plan.phases()).extracting(Phase::tiling).allMatch(tiling -> tiling.isPresent());
        var domain = new Domain(List.of(new Domain.Tensor(elements, 1, elements / 512, 0, 0)), 1);
        try (var device = new CpuDevice(1L << 30, 2)) {
            var arrays = new HashMap<Buffer, Array>();
            for (var stage : plan.stages()) {
                stage.reads().stream()
                        .filter(b -> b.kind() != Buffer.Kind.TEMP && b.kind() != Buffer.Kind.GRAD)
                        .forEach(b -> arrays.computeIfAbsent(b, _ -> memory(device, domain.bytes(b))));
            }
            var gradients = device.host().allocate(elements * Float.BYTES + 64L, "gradients");
            long before = device.memory().freeBytes();
            try (var bound = device.bind(plan, domain, arrays); var body = device.body(elements * Float.BYTES + 64L, "gradients")) {
                body.hold(gradients.segment());
                bound.run(new Spans(List.of(new Spans.Span(0, 1))), body);
                assertThat(before - device.memory().freeBytes()).isLessThan(elements);
            }
        }
    }

    static List<Scope> units() {
        return List.of(Scope.block(256), Scope.block(7), Scope.ROW);
    }

    private static Array memory(CpuDevice device, long bytes) {
        return device.memory().allocate(bytes, "a test's array").array();
    }
}
