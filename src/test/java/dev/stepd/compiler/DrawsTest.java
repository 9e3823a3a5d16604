package dev.stepd.compiler;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Draws;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Interpreter.Extent;
import dev.stepd.expr.Program;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.expr.rewrite.Rewrites;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Random bits are evenly spread, others for every seed, stream, step and element, and the same however a session is laid out
/// and cut.
@Tag("gpu")
class DrawsTest {
    private static final int COUNT = 1 << 18;
    /// 255 degrees of freedom have 255 on average, with a deviation of 23.
    private static final double CHI_SQUARE_MAX = 255 + 5 * 23;

    private static final Buffer RESULT = new Buffer(Buffer.Kind.SLOT, "bits", Scope.ELEMENT, Type.I32);
    private static final Program PROGRAM =
            new Program(List.of(new Program.Assignment(RESULT, new Expr.Draw("exp_avg"))));

    private static int draw(int i) {
        return Draws.draw(42, "exp_avg", 7, i);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 5, 8, 16, 24})
    void everyByteIsEven(int shift) {
        assertThat(chiSquare(IntStream.range(0, COUNT).map(i -> draw(i) >>> shift))).isLessThan(CHI_SQUARE_MAX);
        assertThat(chiSquare(IntStream.range(0, COUNT).map(t -> Draws.draw(42, "exp_avg", t, 3) >>> shift)))
                .isLessThan(CHI_SQUARE_MAX);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 256, 1 << 16, 1 << 30})
    void neighboursAreIndependent(int apart) {
        assertThat(chiSquare(IntStream.range(0, COUNT).map(i -> draw(i) ^ draw(i + apart)))).isLessThan(CHI_SQUARE_MAX);
        assertThat(chiSquare(IntStream.range(0, COUNT).map(i -> draw(i) - draw(i + apart) >>> 24)))
                .isLessThan(CHI_SQUARE_MAX);
    }

    @Test
    void seedsStreamsAndStepsAreIndependent() {
        var others = List.<java.util.function.IntUnaryOperator>of(
                i -> Draws.draw(43, "exp_avg", 7, i),
                i -> Draws.draw(42, "exp_avg_sq", 7, i),
                i -> Draws.draw(42, "exp_avg", 8, i),
                i -> Draws.draw(7, "exp_avg", 42, i));
        for (var other : others) {
            for (int shift : new int[] {0, 8, 16, 24}) {
                var difference = IntStream.range(0, COUNT).map(i -> draw(i) ^ other.applyAsInt(i));
                assertThat(chiSquare(difference.map(d -> d >>> shift))).isLessThan(CHI_SQUARE_MAX);
            }
        }
    }

    private static double chiSquare(IntStream values) {
        var counts = new long[256];
        values.forEach(v -> counts[v & 255]++);
        double expected = COUNT / 256.0;
        return java.util.Arrays.stream(counts).mapToDouble(c -> (c - expected) * (c - expected) / expected).sum();
    }

    /// One tensor of 70,000 elements, or many, in any order, one of them past 2^32: an element draws by its place in the
    /// declaration.
    @Test
    void doNotDependOnTheLayout() {
        long far = (1L << 32) - 100;
        var one = interpreted(List.of(extent(70_000, far)));
        var extents = List.of(extent(69_000 - 17, far + 1017), extent(17, far), extent(1000, far + 17));
        var many = interpreted(extents);
        var sorted = new ArrayList<Long>();
        IntStream.range(69_000 - 17, 70_000).forEach(i -> sorted.add(many[i]));
        IntStream.range(0, 69_000 - 17).forEach(i -> sorted.add(many[i]));
        assertThat(sorted.stream().mapToLong(x -> x).toArray()).isEqualTo(one);
        assertThat(one[100]).as("the element at 2^32").isEqualTo(Draws.draw(5, "exp_avg", 3, 0));
        try (var agreement = new Agreement()) {
            agreement.check("many tensors", PROGRAM, world(extents));
            agreement.check("one tensor", PROGRAM, world(List.of(extent(70_000, far))));
        }
    }

    /// Random bits that are added up, or that decide over what is.
    @Test
    void mayBeReduced() {
        var bits = new Expr.Draw("a").as(Type.F64);
        var assignments = new ArrayList<Program.Assignment>();
        for (var over : List.of(Scope.SESSION, Scope.TENSOR, Scope.ROW, Scope.COLUMN, Scope.block(300))) {
            assignments.add(Agreement.write(over, new Expr.Reduce(dev.stepd.expr.ReduceOp.SUM, over, bits)));
        }
        try (var agreement = new Agreement()) {
            agreement.check(
                    new Program(assignments),
                    List.of(extent(3000, 10), extent(0, 3010), extent(4100, 3010), extent(12, 7)),
                    World.Values.TAME);
        }
    }

    private static Extent extent(int elements, long origin) {
        return new Extent(elements, 1, elements % 50 == 0 ? elements / 50 : 1, 0, true, 3, origin);
    }

    private static World world(List<Extent> extents) {
        int count = extents.stream().mapToInt(Extent::elements).sum();
        return new World(extents, Map.of(Draws.SEED, new double[] {5}), Map.of(RESULT, new long[count]));
    }

    private static long[] interpreted(List<Extent> extents) {
        var plain = world(extents).interpreted(PROGRAM).arrays().get(RESULT);
        var expanded = world(extents).interpreted(Rewrites.expand(PROGRAM)).arrays().get(RESULT);
        assertThat(expanded).isEqualTo(plain);
        return plain;
    }
}
