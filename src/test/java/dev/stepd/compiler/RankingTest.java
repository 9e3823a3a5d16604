package dev.stepd.compiler;

import static dev.stepd.compiler.Agreement.slot;
import static dev.stepd.compiler.Agreement.write;
import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Interpreter.Extent;
import dev.stepd.expr.Program;
import dev.stepd.expr.Scalar;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.expr.rewrite.ExpandFunctions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.DoubleStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// The k-th largest value is that of a sorted list, whatever stands in it: by the interpreter, by counting, and by kernels.
@Tag("gpu")
class RankingTest {
    private static final Agreement AGREEMENT = new Agreement();

    @AfterAll
    static void close() {
        AGREEMENT.close();
    }

    private static double ranked(Type type, double rank, double... values) {
        var x = new Buffer(Buffer.Kind.SLOT, "x", Scope.ELEMENT, type);
        var ranked = new Expr.Ranked(Scope.TENSOR, new Expr.Read(x), Expr.constant(rank));
        var program = new Program(List.of(write(Scope.TENSOR, ranked)));
        var result = program.assignments().getFirst().target();
        var bits = DoubleStream.of(values).mapToLong(value -> Scalar.of(type, value)).toArray();
        var world = new World(
                List.of(new Extent(values.length, 1, 0, true, 1)), Map.of(), Map.of(x, bits, result, new long[1]));
        RewriteVerifier.keepsBits(new ExpandFunctions(), program, world);
        return Scalar.toDouble(Type.F64, world.interpreted(program).arrays().get(result)[0]);
    }

    @ParameterizedTest
    @EnumSource(value = Type.class, names = {"F32", "F64"})
    void isThatOfASortedList(Type type) {
        var random = new SplittableRandom(3);
        for (int count = 1; count <= 40; count++) {
            var values = new double[count];
            Arrays.setAll(values, _ -> (float) World.value(random, World.Values.SPECIAL));
            var numbers = new ArrayList<>(DoubleStream.of(values).filter(v -> !Double.isNaN(v)).boxed().toList());
            numbers.sort(Collections.reverseOrder(Double::compare));
            int rank = 1 + random.nextInt(count);
            double expected = rank <= numbers.size() ? numbers.get(rank - 1) + 0.0 : Double.NaN;
            assertThat(ranked(type, rank, values)).as("%d of %s", rank, Arrays.toString(values)).isEqualTo(expected);
        }
    }

    @Test
    void countsEqualOnesOneByOne() {
        assertThat(ranked(Type.F32, 1, 2, 3, 3, 1)).isEqualTo(3);
        assertThat(ranked(Type.F32, 2, 2, 3, 3, 1)).isEqualTo(3);
        assertThat(ranked(Type.F32, 3, 2, 3, 3, 1)).isEqualTo(2);
        assertThat(ranked(Type.F32, 4, 2, 3, 3, 1)).isEqualTo(1);
    }

    @Test
    void knowsNegativeOnesZerosAndTheEndsOfTheRange() {
        assertThat(ranked(Type.F32, 2, -1, -3, -2)).isEqualTo(-2);
        assertThat(ranked(Type.F32, 3, -Float.MIN_VALUE, -Float.MAX_VALUE, Double.NEGATIVE_INFINITY)).isEqualTo(Double.NEGATIVE_INFINITY);
        assertThat(ranked(Type.F32, 1, -Float.MIN_VALUE, -Float.MAX_VALUE)).isEqualTo(-Float.MIN_VALUE);
        assertThat(ranked(Type.F64, 1, Double.MIN_VALUE, -1)).isEqualTo(Double.MIN_VALUE);
        assertThat(ranked(Type.F32, 1, Double.POSITIVE_INFINITY, Float.MAX_VALUE)).isEqualTo(Double.POSITIVE_INFINITY);
        assertThat(1 / ranked(Type.F32, 1, -0.0, -1)).isEqualTo(Double.POSITIVE_INFINITY);
        assertThat(ranked(Type.F32, 2, Double.NaN, 5, Double.NaN, -5)).isEqualTo(-5);
        assertThat(ranked(Type.F32, 3, Double.NaN, 5, Double.NaN, -5)).isNaN();
        assertThat(ranked(Type.F32, 0, 5, -5)).isNaN();
        assertThat(ranked(Type.F32, 1)).isNaN();
    }

    /// Over every scope, of tensors that are there and not: what counting makes of it runs as the interpreter says.
    @Test
    void kernelsFindIt() {
        var extents = World.tensors(new SplittableRandom(5), true, 35, 0, 210, 96, 1, 60, 5);
        for (var over : List.of(Scope.SESSION, Scope.TENSOR, Scope.COLUMN, Scope.block(4))) {
            var x = slot("x", Scope.ELEMENT, Type.F32);
            var rank = slot("k", over, Type.F64);
            var program = new Program(List.of(write(over, new Expr.Ranked(over, x, rank))));
            var buffers = new LinkedHashSet<>(program.reads());
            program.assignments().forEach(a -> buffers.add(a.target()));
            var world = World.random(new SplittableRandom(7), extents, buffers, World.Values.SPECIAL);
            var ranks = world.arrays().get(((Expr.Read) rank).buffer());
            Arrays.setAll(ranks, i -> Scalar.of(Type.F64, 1 + i % 5));
            RewriteVerifier.keepsBits(new ExpandFunctions(), program, world);
            AGREEMENT.check("over " + over, program, world);
        }
    }
}
