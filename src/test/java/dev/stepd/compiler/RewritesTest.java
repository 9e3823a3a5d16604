package dev.stepd.compiler;

import static dev.stepd.compiler.Agreement.slot;
import static dev.stepd.compiler.Agreement.write;
import static dev.stepd.compiler.RewriteVerifier.keepsBits;
import static dev.stepd.expr.Expr.constant;
import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.expr.BinaryOp;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.CompareOp;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Interpreter.Extent;
import dev.stepd.expr.Program;
import dev.stepd.expr.ReduceOp;
import dev.stepd.expr.Scalar;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.expr.UnaryOp;
import dev.stepd.expr.rewrite.ChooseByHost;
import dev.stepd.expr.rewrite.DropUnchangedSlots;
import dev.stepd.expr.rewrite.ExpandFunctions;
import dev.stepd.expr.rewrite.FoldConstants;
import dev.stepd.expr.rewrite.Rewrites;
import dev.stepd.expr.rewrite.ShareSubexpressions;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// What each rewrite does, and the cases that look equal and are not.
@Tag("gpu")
class RewritesTest {
    private static final Expr X = slot("x", Scope.ELEMENT, Type.F64);
    private static final Expr Y = slot("y", Scope.ELEMENT, Type.F64);

    /// Every special value against every other.
    private static World world() {
        int n = World.SPECIALS.length;
        var x = new long[n * n];
        var y = new long[n * n];
        for (int i = 0; i < x.length; i++) {
            x[i] = Scalar.of(Type.F64, World.SPECIALS[i / n]);
            y[i] = Scalar.of(Type.F64, World.SPECIALS[i % n]);
        }
        return new World(
                List.of(new Extent(n * n, n, 0, true, 3)),
                Map.of("beta", new double[] {0.5}),
                Map.of(buffer(X), x, buffer(Y), y, result(), new long[n * n]));
    }

    private static Buffer buffer(Expr read) {
        return ((Expr.Read) read).buffer();
    }

    private static Buffer result() {
        return new Buffer(Buffer.Kind.SLOT, "result_element", Scope.ELEMENT, Type.F64);
    }

    private static Program program(Expr value) {
        return new Program(List.of(new Program.Assignment(result(), value)));
    }

    private static Expr value(Program program) {
        return program.assignments().getFirst().value();
    }

    private static Expr folded(Expr value) {
        return value(keepsBits(new FoldConstants(), program(value), world()));
    }

    @Test
    void foldsOperationsOnConstants() {
        assertThat(folded(constant(2).plus(3.0).times(X))).isEqualTo(constant(5).times(X));
        assertThat(folded(X.plus(Expr.select(Expr.compare(CompareOp.LT, constant(1), constant(2)), constant(3), Y))))
                .isEqualTo(X.plus(3));
        assertThat(folded(constant(Type.F32, 0.1).as(Type.F64).times(X))).isEqualTo(constant((double) 0.1f).times(X));
    }

    @Test
    void foldsNoIdentitiesThatFloatsLack() {
        for (var kept : List.of(
                X.plus(0), X.plus(-0.0), X.minus(0), X.times(1), X.times(0), X.over(1), X.minus(X), X.over(X),
                X.plus(1).plus(2), X.times(3).over(3), Expr.select(Expr.compare(CompareOp.EQ, X, X), X, X))) {
            assertThat(folded(kept)).isEqualTo(kept);
        }
    }

    @Test
    void foldsConditions() {
        var yes = Expr.compare(CompareOp.LT, constant(1), constant(2));
        var no = Expr.compare(CompareOp.LT, constant(2), constant(1));
        var open = Expr.compare(CompareOp.LT, X, Y);
        assertThat(folded(Expr.select(new Expr.Binary(BinaryOp.AND, yes, open), X, Y))).isEqualTo(Expr.select(open, X, Y));
        assertThat(folded(Expr.select(new Expr.Binary(BinaryOp.AND, open, no), X, Y))).isEqualTo(Y);
        assertThat(folded(Expr.select(new Expr.Binary(BinaryOp.OR, open, yes), X, Y))).isEqualTo(X);
        assertThat(folded(Expr.select(new Expr.Binary(BinaryOp.OR, no, open), X, Y))).isEqualTo(Expr.select(open, X, Y));
    }

    /// Rows summed once for each element stay so when the branch that had elements is gone.
    @ParameterizedTest
    @EnumSource(ReduceOp.class)
    void countsAValueAsOftenAsBefore(ReduceOp op) {
        var row = slot("row", Scope.ROW, Type.F64);
        var extents = List.of(new Extent(12, 3, 0, true, 1), new Extent(0, 3, 0, true, 1));
        for (var condition : List.of(
                Expr.compare(CompareOp.LT, constant(1), constant(2)),
                Expr.compare(CompareOp.LT, constant(0), new Expr.Counter()))) {
            for (var over : List.of(Scope.block(3), Scope.TENSOR, Scope.SESSION)) {
                var sum = new Expr.Reduce(op, over, Expr.select(condition, row, X));
                var program = new Program(List.of(write(over, sum)));
                try (var agreement = new Agreement()) {
                    var world = World.random(
                            new java.util.SplittableRandom(1),
                            extents,
                            List.of(buffer(row), buffer(X), program.assignments().getFirst().target()),
                            World.Values.TAME);
                    var decided = keepsBits(p -> ChooseByHost.decided(p, 1), program, world);
                    keepsBits(new FoldConstants(), decided, world);
                    agreement.check("decided", decided, world);
                }
            }
        }
    }

    @Test
    void sharesEqualOperationsAndNothingElse() {
        var sum = X.plus(Y);
        var again = slot("x", Scope.ELEMENT, Type.F64).plus(slot("y", Scope.ELEMENT, Type.F64));
        assertThat(nodes(sum.times(again))).isEqualTo(4);
        assertThat(nodes(sum.times(Y.plus(X)))).as("operands exchanged").isEqualTo(5);
        assertThat(nodes(X.plus(0.0).times(X.plus(-0.0)))).as("zeros of both signs").isEqualTo(6);
        assertThat(nodes(new Expr.Fma(X, Y, X).minus(X.times(Y).plus(X)))).as("rounded once or twice").isEqualTo(6);
    }

    private static int nodes(Expr value) {
        return keepsBits(new ShareSubexpressions(), program(value), world()).nodes().size();
    }

    @Test
    void keepsReductionsApart() {
        var wide = X.plus(Y);
        var values = List.of(
                new Expr.Reduce(ReduceOp.SUM, Scope.TENSOR, wide),
                new Expr.Reduce(ReduceOp.MAX, Scope.TENSOR, wide),
                new Expr.Reduce(ReduceOp.SUM, Scope.SESSION, wide),
                new Expr.Reduce(ReduceOp.SUM, Scope.TENSOR, X.plus(Y)));
        var all = values.stream().map(Expr.class::cast).reduce(Expr::plus).orElseThrow();
        assertThat(nodes(all)).as("x, y, their sum, three reductions, three additions").isEqualTo(9);
    }

    @Test
    void dropsSlotsThatKeepTheirValue() {
        var slot = buffer(X);
        var grad = new Buffer(Buffer.Kind.GRAD, "grad", Scope.ELEMENT, Type.F64);
        var delta = new Buffer(Buffer.Kind.DELTA, "delta", Scope.ELEMENT, Type.F64);
        var kept = List.of(
                new Program.Assignment(delta, new Expr.Read(grad)),
                new Program.Assignment(buffer(Y), X),
                new Program.Assignment(result(), X.plus(-0.0)));
        var all = new java.util.ArrayList<>(kept);
        all.add(new Program.Assignment(slot, new Expr.Read(slot)));
        var world = world();
        var arrays = new java.util.LinkedHashMap<>(world.arrays());
        arrays.put(grad, world.arrays().get(slot).clone());
        arrays.put(delta, world.arrays().get(slot).clone());
        var after = keepsBits(
                new DropUnchangedSlots(), new Program(all), new World(world.extents(), world.hypers(), arrays));
        assertThat(after.assignments()).isEqualTo(kept);
    }

    /// These have no error: where a NaN is, which zero wins, what the sign of a zero is.
    @Test
    void expandsSelectionsExactly() {
        for (var value : List.of(
                new Expr.Binary(BinaryOp.MIN, X, Y),
                new Expr.Binary(BinaryOp.MAX, X, Y),
                new Expr.Unary(UnaryOp.SIGN, X))) {
            keepsBits(new ExpandFunctions(), program(value), world());
        }
    }

    @Test
    void leavesNoFunctionsButTheHosts() {
        var host = new Expr.Binary(BinaryOp.POW, new Expr.Hyper("beta"), new Expr.Counter());
        var program = program(new Expr.Unary(UnaryOp.TANH, X).times(host));
        var expanded = Rewrites.expand(program);
        assertThat(expanded.nodes()).contains(host);
        assertThat(expanded.nodes()).noneMatch(node -> node instanceof Expr.Unary(UnaryOp op, _) && op.expands());
    }

    @Test
    void decidesEachConditionByItsBit() {
        var first = Expr.compare(CompareOp.LT, new Expr.Counter(), constant(5));
        var second = Expr.compare(CompareOp.LT, new Expr.Hyper("beta"), constant(0.4));
        var value = Expr.select(first, Expr.select(second, X, Y), Expr.select(second, X.negate(), Y.negate()));
        assertThat(ChooseByHost.conditions(program(value))).containsExactlyInAnyOrder(first, second);
        long world = RewriteVerifier.outcome(program(value), world());
        keepsBits(p -> ChooseByHost.decided(p, world), program(value), world());
        keepsBits(ChooseByHost::undecided, program(value), world());
        var all = java.util.stream.LongStream.range(0, 4)
                .mapToObj(outcome -> value(ChooseByHost.decided(program(value), outcome)))
                .toList();
        assertThat(all).containsExactlyInAnyOrder(X, Y, X.negate(), Y.negate());
    }

    /// A number that the host selects is the host's; no program is chosen by it.
    @Test
    void leavesTheHostsOwnSelections() {
        var first = Expr.compare(CompareOp.EQ, new Expr.Counter(), constant(1));
        var value = X.times(Expr.select(first, constant(1), new Expr.Hyper("beta")));
        assertThat(ChooseByHost.conditions(program(value))).isEmpty();
    }
}
