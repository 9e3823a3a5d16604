package dev.stepd.compiler;

import static dev.stepd.compiler.Agreement.slot;
import static dev.stepd.compiler.Agreement.write;
import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Interpreter.Extent;
import dev.stepd.expr.Program;
import dev.stepd.expr.ReduceOp;
import dev.stepd.expr.Scalar;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// A running sum goes from tensor to tensor, past those that are absent, one addition after the other.
@Tag("gpu")
class RunningSumTest {
    private static final Agreement AGREEMENT = new Agreement();
    private static final Expr X = slot("x", Scope.TENSOR, Type.F64);

    @AfterAll
    static void close() {
        AGREEMENT.close();
    }

    @Test
    void addsInOrderWithoutThoseAbsent() {
        var extents = List.of(
                new Extent(3, 1, 0, true, 1), new Extent(0, 0, 0, true, 1), new Extent(5, 1, 0, false, 1), new Extent(2, 1, 1, true, 4));
        var program = new Program(List.of(write(Scope.TENSOR, new Expr.RunningSum(X))));
        var target = program.assignments().getFirst().target();
        var arrays = new LinkedHashMap<Buffer, long[]>();
        arrays.put(((Expr.Read) X).buffer(), bits(1, 1e-17, 50, 1e-17));
        arrays.put(target, bits(7, 7, 7, 7));
        var world = new World(extents, Map.of(), arrays);
        assertThat(world.interpreted(program).arrays().get(target)).containsExactly(bits(1, 1, 7, 1));
        AGREEMENT.check("in order", program, world);
    }

    private static long[] bits(double... values) {
        return java.util.stream.DoubleStream.of(values).mapToLong(value -> Scalar.of(Type.F64, value)).toArray();
    }

    /// What is summed up may be reduced from elements, host values or sums itself; what comes of it scales elements.
    @ParameterizedTest
    @ValueSource(strings = {"SPECIAL", "TAME"})
    void kernelsAgree(World.Values values) {
        var element = slot("e", Scope.ELEMENT, Type.F32);
        var norm = new Expr.Reduce(ReduceOp.SUM, Scope.TENSOR, element.as(Type.F64).squared());
        var running = new Expr.RunningSum(norm.times(new Expr.Hyper("lr")));
        var twice = new Expr.RunningSum(running.plus(X));
        var ofHost = new Expr.RunningSum(new Expr.Hyper("wd"));
        var program = new Program(List.of(
                write(Scope.ELEMENT, running.times(element)),
                write(Scope.TENSOR, twice.plus(ofHost)),
                write(Scope.SESSION, new Expr.Reduce(ReduceOp.MAX, Scope.SESSION, twice))));
        var extents = World.tensors(new SplittableRandom(5), true, 35, 0, 2100, 7, 1, 600, 5, 0, 16);
        AGREEMENT.check(program, extents, values);
    }

    /// More tensors than one piece of a pass.
    @Test
    void runsOverManyTensors() {
        var extents = World.tensors(new SplittableRandom(5), true, new int[3000]);
        AGREEMENT.check(new Program(List.of(write(Scope.TENSOR, new Expr.RunningSum(X)))), extents, World.Values.TAME);
    }
}
