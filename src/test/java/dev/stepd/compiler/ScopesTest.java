package dev.stepd.compiler;

import static dev.stepd.compiler.Agreement.slot;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Interpreter.Extent;
import dev.stepd.expr.Program;
import dev.stepd.expr.ReduceOp;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Values of every scope meet elements, and what comes of it is reduced over every scope: also over those that the value's
/// scope cuts across, as rows cut blocks and tensors.
@Tag("gpu")
class ScopesTest {
    private static final Agreement AGREEMENT = new Agreement();
    private static final List<Scope> COARSE = List.of(
            Scope.SESSION, Scope.GROUP, Scope.TENSOR, Scope.ROW, Scope.COLUMN, Scope.block(4), Scope.block(1500));

    /// Long rows, many rows, rows of nothing, nothing, absent tensors, several matrices, two groups.
    private static final List<Extent> TENSORS = List.of(
            new Extent(35, 7, 0, true, 1),
            new Extent(0, 3, 0, true, 1),
            new Extent(2100, 1, 0, false, 2),
            new Extent(3300, 3, 0, true, 1),
            new Extent(420, 4, 7, 0, true, 1, 0),
            new Extent(0, 2, 0, 1, true, 1, 0),
            new Extent(0, 0, 1, true, 1),
            new Extent(600, 200, 1, true, 3),
            new Extent(1, 1, 1, true, 3),
            new Extent(5, 1, 1, false, 3));

    @AfterAll
    static void close() {
        AGREEMENT.close();
    }

    static List<Scope> coarse() {
        return COARSE;
    }

    private static Expr element() {
        return slot("x", Scope.ELEMENT, Type.F32);
    }

    private static Expr of(Scope scope) {
        return slot("y_" + scope, scope, Scope.TENSOR.coarserThan(scope) ? Type.F32 : Type.F64);
    }

    private static Program.Assignment write(String name, Scope scope, Expr value) {
        return new Program.Assignment(new Buffer(Buffer.Kind.SLOT, name, scope, value.type()), value);
    }

    @Test
    void everyScopeMeetsElementsAtOnce() {
        var sum = element();
        for (var scope : COARSE) {
            sum = sum.plus(sum.times(of(scope)));
        }
        var program = new Program(List.of(write("all", Scope.ELEMENT, sum)));
        AGREEMENT.check(program, TENSORS, World.Values.TAME);
    }

    @ParameterizedTest
    @MethodSource("coarse")
    void reducesWhatAnyScopeScaled(Scope over) {
        var assignments = new ArrayList<Program.Assignment>();
        for (var scope : COARSE) {
            var scaled = element().times(of(scope)).as(Type.F64);
            var wide = element().as(Type.F64).times(of(scope));
            assignments.add(write("sum_" + scope, over, new Expr.Reduce(ReduceOp.SUM, over, scaled)));
            assignments.add(write("max_" + scope, over, new Expr.Reduce(ReduceOp.MAX, over, wide)));
        }
        AGREEMENT.check(new Program(assignments), TENSORS, World.Values.TAME);
    }

    @ParameterizedTest
    @MethodSource("pairs")
    void reducesReductions(Scope inner, Scope outer) {
        var within = new Expr.Reduce(ReduceOp.SUM, inner, element().as(Type.F64).squared());
        var reduced = new Expr.Reduce(ReduceOp.MAX, outer, within);
        var share = element().over(within).times(reduced);
        AGREEMENT.check(
                new Program(List.of(write("r", outer, reduced), write("s", Scope.ELEMENT, share))),
                TENSORS,
                World.Values.TAME);
    }

    static Stream<Object[]> pairs() {
        return COARSE.stream().flatMap(inner -> COARSE.stream()
                .filter(outer -> outer.coarserThan(inner))
                .map(outer -> new Object[] {inner, outer}));
    }

    /// Slots of a scope that exchange their values, with what the elements below had before.
    @ParameterizedTest
    @MethodSource("coarse")
    void assignsAtOnce(Scope scope) {
        var a = slot("a", scope, Type.F64);
        var b = slot("b", scope, Type.F64);
        var x = element();
        var below = new Expr.Reduce(ReduceOp.SUM, scope, x.as(Type.F64));
        AGREEMENT.check(
                new Program(List.of(
                        write("a", scope, b.plus(below)),
                        write("b", scope, a),
                        write("x", Scope.ELEMENT, x.plus(a).minus(b)))),
                TENSORS,
                World.Values.TAME);
    }

    @ParameterizedTest
    @MethodSource("coarse")
    void countsElements(Scope scope) {
        var count = new Expr.Read(new Buffer(Buffer.Kind.EXTENT, "", scope, Type.F64));
        var mean = new Expr.Reduce(ReduceOp.SUM, scope, element().as(Type.F64)).over(count);
        AGREEMENT.check(
                new Program(List.of(write("mean", scope, mean), write("c", Scope.ELEMENT, element().minus(mean)))),
                TENSORS,
                World.Values.TAME);
    }

    /// The sum and the largest of the same values of tensors: what stands for an absent tensor differs.
    @ParameterizedTest
    @MethodSource("shared")
    void reducesTensorsInTwoWays(Scope over) {
        var x = slot("t", Scope.TENSOR, Type.F64).times(2.0);
        AGREEMENT.check(
                new Program(List.of(
                        write("sum", over, new Expr.Reduce(ReduceOp.SUM, over, x)),
                        write("max", over, new Expr.Reduce(ReduceOp.MAX, over, x)),
                        write("least", over, new Expr.Reduce(ReduceOp.MAX, over, x.negate()).negate()),
                        write("x", Scope.ELEMENT, element().times(x)))),
                TENSORS,
                World.Values.TAME);
    }

    static List<Scope> shared() {
        return List.of(Scope.SESSION, Scope.GROUP);
    }
}
