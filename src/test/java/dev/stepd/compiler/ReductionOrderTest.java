package dev.stepd.compiler;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Interpreter.Extent;
import dev.stepd.expr.Order;
import dev.stepd.expr.Program;
import dev.stepd.expr.ReduceOp;
import dev.stepd.expr.Scalar;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/// The order of a reduction is what [Order] says, said here once more with lists: 16 lanes in chunks of 1024, halves, then
/// neighbours; a column's chunks of 64 rows in a line. Values are such that another order gives other bits.
@Tag("gpu")
class ReductionOrderTest {
    private static double restated(ReduceOp op, List<Double> values) {
        var chunks = new ArrayList<Double>();
        for (int from = 0; from == 0 || from < values.size(); from += 1024) {
            chunks.add(chunk(op, values.subList(from, Math.min(values.size(), from + 1024))));
        }
        return neighbours(op, chunks);
    }

    private static double chunk(ReduceOp op, List<Double> values) {
        var lanes = new ArrayList<Double>();
        for (int lane = 0; lane < 16; lane++) {
            lanes.add(inLine(op, every16th(values, lane)));
        }
        while (lanes.size() > 1) {
            int half = lanes.size() / 2;
            var lower = lanes.subList(0, half);
            var upper = lanes.subList(half, lanes.size());
            lanes = new ArrayList<>(
                    IntStream.range(0, half).mapToObj(i -> op.join(lower.get(i), upper.get(i))).toList());
        }
        return lanes.getFirst();
    }

    private static List<Double> every16th(List<Double> values, int first) {
        return IntStream.range(0, values.size()).filter(i -> i % 16 == first).mapToObj(values::get).toList();
    }

    private static double inLine(ReduceOp op, List<Double> values) {
        return values.stream().reduce(op.identity(), op::join);
    }

    private static double neighbours(ReduceOp op, List<Double> values) {
        if (values.size() == 1) {
            return values.getFirst();
        }
        var joined = new ArrayList<Double>();
        for (int i = 0; i + 1 < values.size(); i += 2) {
            joined.add(op.join(values.get(i), values.get(i + 1)));
        }
        if (values.size() % 2 == 1) {
            joined.add(values.getLast());
        }
        return neighbours(op, joined);
    }

    private static double restatedColumn(ReduceOp op, List<Double> values) {
        var chunks = new ArrayList<Double>();
        for (int from = 0; from == 0 || from < values.size(); from += 64) {
            chunks.add(inLine(op, values.subList(from, Math.min(values.size(), from + 64))));
        }
        return neighbours(op, chunks);
    }

    /// Twenty decades of both signs, so that nearly every addition rounds.
    private static List<Double> adversarial(int count) {
        var random = new SplittableRandom(count);
        return DoubleStream.generate(() -> random.nextGaussian() * Math.pow(10, random.nextInt(20) - 10))
                .limit(count)
                .boxed()
                .toList();
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 15, 16, 17, 31, 33, 1023, 1024, 1025, 2047, 2048, 2049, 3000, 5 * 1024, 7 * 1024 + 3})
    void isTheDocumentedOne(int count) {
        var values = adversarial(count);
        for (var op : ReduceOp.values()) {
            assertThat(Order.reduce(op, count, values::get)).isEqualTo(restated(op, values));
            assertThat(Order.reduceColumn(op, count, values::get)).isEqualTo(restatedColumn(op, values));
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1025, 2049, 3000, 7 * 1024 + 3})
    void isNoOther(int count) {
        var values = adversarial(count);
        double sum = Order.reduce(ReduceOp.SUM, count, values::get);
        assertThat(sum).isNotEqualTo(inLine(ReduceOp.SUM, values));
        assertThat(sum).isNotEqualTo(neighbours(ReduceOp.SUM, values));
        assertThat(sum).isNotEqualTo(restatedColumn(ReduceOp.SUM, values));
        assertThat(sum).isNotEqualTo(restated(ReduceOp.SUM, values.reversed()));
    }

    @ParameterizedTest
    @EnumSource(ReduceOp.class)
    void knowsNothingNaNAndZeros(ReduceOp op) {
        assertThat(Order.reduce(op, 0, i -> 1)).isEqualTo(op.identity());
        for (int at : new int[] {0, 15, 16, 1023, 1024, 2999}) {
            assertThat(Order.reduce(op, 3000, i -> i == at ? Double.NaN : i)).isNaN();
        }
        assertThat(Order.reduce(op, 40, i -> -0.0)).isEqualTo(op == ReduceOp.SUM ? 0.0 : -0.0);
    }

    /// Kernels follow it, for values that show if they do not: 1170 rows of 7.
    @ParameterizedTest
    @EnumSource(ReduceOp.class)
    void isTheOneOfKernels(ReduceOp op) {
        var x = new Buffer(Buffer.Kind.SLOT, "x", Scope.ELEMENT, Type.F64);
        var values = adversarial(1170 * 7);
        var arrays = new LinkedHashMap<Buffer, long[]>();
        arrays.put(x, values.stream().mapToLong(v -> Scalar.of(Type.F64, v)).toArray());
        var sizes = new LinkedHashMap<Scope, Integer>();
        sizes.put(Scope.TENSOR, 1);
        sizes.put(Scope.ROW, 1170);
        sizes.put(Scope.COLUMN, 7);
        sizes.put(Scope.block(3000), 3);
        var assignments = new ArrayList<Program.Assignment>();
        sizes.forEach((over, size) -> {
            var target = new Buffer(Buffer.Kind.SLOT, "r", over, Type.F64);
            assignments.add(new Program.Assignment(target, new Expr.Reduce(op, over, new Expr.Read(x))));
            arrays.put(target, new long[size]);
        });
        var world = new World(List.of(new Extent(1170 * 7, 1170, 0, true, 1)), Map.of(), arrays);
        try (var agreement = new Agreement()) {
            agreement.check("" + op, new Program(assignments), world);
        }
        var after = world.interpreted(new Program(assignments)).arrays();
        long whole = Double.doubleToRawLongBits(restated(op, values));
        assertThat(after.get(assignments.getFirst().target())).containsExactly(whole);
    }
}
