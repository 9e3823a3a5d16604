package dev.stepd.compiler;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.expr.BinaryOp;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Interpreter.Extent;
import dev.stepd.expr.Program;
import dev.stepd.expr.Scalar;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.expr.UnaryOp;
import dev.stepd.expr.rewrite.ExpandFunctions;
import java.math.BigDecimal;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.DoubleFunction;
import java.util.function.ToDoubleBiFunction;
import java.util.stream.DoubleStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// How far expanded functions are from the truth, in units in the last place: within the bounds their docs state. Compiled
/// code has the interpreter's bits, so the interpreter is asked. `-Dstepd.arguments=N` asks for N arguments of each f64 function.
class FunctionAccuracyTest {
    private static final int COUNT = 8_000;
    /// Of f64, whose truth takes 36 digits.
    private static final int FEW = Integer.getInteger("stepd.arguments", 2000);

    private static Buffer buffer(String name, Type type) {
        return new Buffer(Buffer.Kind.SLOT, name, Scope.ELEMENT, type);
    }

    private static double[] unary(UnaryOp op, Type type, double... x) {
        return expanded(new Expr.Unary(op, new Expr.Read(buffer("x", type))), type, x, x);
    }

    private static double[] pow(Type type, double[] x, double[] y) {
        return expanded(
                new Expr.Binary(BinaryOp.POW, new Expr.Read(buffer("x", type)), new Expr.Read(buffer("y", type))),
                type, x, y);
    }

    private static double[] expanded(Expr value, Type type, double[] x, double[] y) {
        var program = new ExpandFunctions().apply(new Program(List.of(new Program.Assignment(buffer("r", type), value))));
        var world = new World(
                List.of(new Extent(x.length, 1, 0, true, 1)),
                Map.of(),
                Map.of(buffer("x", type), bits(type, x), buffer("y", type), bits(type, y),
                        buffer("r", type), new long[x.length]));
        var result = world.interpreted(program).arrays().get(buffer("r", type));
        return Arrays.stream(result).mapToDouble(bits -> Scalar.toDouble(type, bits)).toArray();
    }

    private static long[] bits(Type type, double[] values) {
        return Arrays.stream(values).mapToLong(v -> Scalar.of(type, v)).toArray();
    }

    /// Dense, random, near 0, near 1.
    private static double[] arguments(UnaryOp op) {
        var random = new SplittableRandom(op.ordinal());
        var arguments = switch (op) {
            case EXP -> DoubleStream.concat(
                    random.doubles(COUNT, -87.3, 88.7), random.doubles(COUNT).map(u -> (u - 0.5) * 2));
            case LOG -> DoubleStream.concat(
                    random.doubles(COUNT, -87, 88).map(StrictMath::exp),
                    DoubleStream.concat(random.doubles(COUNT, 0.5, 2), random.doubles(COUNT, 0.99, 1.01)));
            case TANH -> DoubleStream.concat(
                    DoubleStream.iterate(-1, x -> x + 2.0 / COUNT).limit(COUNT),
                    random.doubles(COUNT).map(u -> Math.pow(10, -20 * u) * (u < 0.5 ? -9 : 9)));
            case NEG, ABS, SQRT, SIGN, COS, SIN -> throw new IllegalStateException(op + " is not expanded");
        };
        return arguments.map(x -> (float) x).toArray();
    }

    private static double bound(UnaryOp op) {
        return op == UnaryOp.TANH ? 2 : 1;
    }

    @ParameterizedTest
    @EnumSource(value = UnaryOp.class, names = {"EXP", "LOG", "TANH"})
    void f32IsWithinItsBound(UnaryOp op) {
        var x = arguments(op);
        var mine = unary(op, Type.F32, x);
        var worst = new Worst();
        for (int i = 0; i < x.length; i++) {
            double exact = Double.longBitsToDouble(Scalar.unary(op, Type.F64, Scalar.of(Type.F64, x[i])));
            worst.add(Math.abs(mine[i] - exact) / Math.ulp((float) exact), op + " of " + x[i]);
        }
        worst.isBelow(bound(op));
    }

    @ParameterizedTest
    @EnumSource(value = UnaryOp.class, names = {"EXP", "LOG", "TANH"})
    void f64IsWithinItsBound(UnaryOp op) {
        DoubleFunction<BigDecimal> precise = switch (op) {
            case EXP -> x -> Precise.exp(new BigDecimal(x));
            case LOG -> Precise::log;
            case TANH -> Precise::tanh;
            case NEG, ABS, SQRT, SIGN, COS, SIN -> throw new IllegalStateException(op + " is not expanded");
        };
        var random = new SplittableRandom(9);
        var all = arguments(op);
        var x = random.ints(FEW, 0, all.length)
                .mapToDouble(i -> all[i] * (1 + 1e-9 * random.nextDouble()) * (op == UnaryOp.EXP ? 8 : 1))
                .filter(v -> op != UnaryOp.EXP || Math.abs(v) < 700)
                .toArray();
        var mine = unary(op, Type.F64, x);
        var worst = new Worst();
        for (int i = 0; i < x.length; i++) {
            worst.add(units(mine[i], precise.apply(x[i])), op + " of " + x[i]);
        }
        worst.isBelow(bound(op));
    }

    private static double units(double mine, BigDecimal exact) {
        return new BigDecimal(mine).subtract(exact).abs().doubleValue() / Math.ulp(exact.doubleValue());
    }

    /// The largest error so far and where it was.
    private static final class Worst {
        private double error;
        private String where = "";

        void add(double error, String where) {
            if (!(error <= this.error)) {
                this.error = error;
                this.where = where;
            }
        }

        void isBelow(double bound) {
            assertThat(error).as(where).isLessThan(bound);
        }
    }

    @Test
    void f32PowIsWithinItsBound() {
        var random = new SplittableRandom(5);
        var x = random.doubles(COUNT, -9, 9).map(StrictMath::exp).map(v -> (float) v).toArray();
        var y = random.doubles(COUNT, -9, 9).map(v -> (float) v).toArray();
        var mine = pow(Type.F32, x, y);
        var worst = new Worst();
        for (int i = 0; i < COUNT; i++) {
            double exact = StrictMath.pow(x[i], y[i]);
            worst.add(Math.abs(mine[i] - exact) / Math.ulp((float) exact), x[i] + "^" + y[i]);
        }
        worst.isBelow(0.51);
    }

    @Test
    void f64PowIsWithinItsBound() {
        var random = new SplittableRandom(6);
        var x = random.doubles(FEW, -50, 50).map(StrictMath::exp).toArray();
        var y = random.doubles(FEW, -13, 13).toArray();
        var mine = pow(Type.F64, x, y);
        var worst = new Worst();
        for (int i = 0; i < x.length; i++) {
            double share = 1 + Math.abs(y[i] * Math.log(x[i]));
            worst.add(units(mine[i], Precise.pow(x[i], y[i])) / share, x[i] + "^" + y[i]);
        }
        worst.isBelow(2);
    }

    /// Where results leave the range, and below the normal range where they lose bits.
    @Test
    void expEndsWhereItShould() {
        for (var type : List.of(Type.F32, Type.F64)) {
            double top = type == Type.F32 ? 88.722839 : 709.782712893384;
            double bottom = type == Type.F32 ? -103.972084 : -745.1332191019412;
            double tiny = type == Type.F32 ? -87.4 : -708.5;
            for (double edge : new double[] {top, bottom, tiny, (bottom + tiny) / 2}) {
                var x = DoubleStream.iterate(edge - 1e-3, v -> v + 1e-6).limit(2000).map(v -> rounded(type, v)).toArray();
                var mine = unary(UnaryOp.EXP, type, x);
                for (int i = 0; i < x.length; i++) {
                    double exact = rounded(type, StrictMath.exp(x[i]));
                    double unit = type == Type.F32 ? Math.ulp((float) exact) : Math.ulp(exact);
                    boolean right = Double.isInfinite(exact) ? mine[i] == exact : Math.abs(mine[i] - exact) <= unit;
                    if (!right) {
                        throw new AssertionError("%s exp(%s) is %s, not %s".formatted(type, x[i], mine[i], exact));
                    }
                }
            }
        }
    }

    private static double rounded(Type type, double value) {
        return type == Type.F32 ? (float) value : value;
    }

    @Test
    void logTakesSubnormals() {
        var random = new SplittableRandom(3);
        var f32 = random.ints(COUNT, 1, 1 << 24).mapToDouble(Float::intBitsToFloat).toArray();
        var mine = unary(UnaryOp.LOG, Type.F32, f32);
        var worst = new Worst();
        for (int i = 0; i < COUNT; i++) {
            double exact = StrictMath.log(f32[i]);
            worst.add(Math.abs(mine[i] - exact) / Math.ulp((float) exact), "log of " + f32[i]);
        }
        var f64 = random.longs(100, 1, 1L << 53).mapToDouble(Double::longBitsToDouble).toArray();
        var wide = unary(UnaryOp.LOG, Type.F64, f64);
        for (int i = 0; i < f64.length; i++) {
            worst.add(units(wide[i], Precise.log(f64[i])), "log of " + f64[i]);
        }
        worst.isBelow(1);
    }

    @ParameterizedTest
    @EnumSource(value = Type.class, names = {"F32", "F64"})
    void specialValues(Type type) {
        double inf = Double.POSITIVE_INFINITY;
        double tiny = type == Type.F32 ? Float.MIN_VALUE : Double.MIN_VALUE;
        check(type, UnaryOp.EXP, new double[][] {{0, 1}, {-0.0, 1}, {inf, inf}, {-inf, 0}, {Double.NaN, Double.NaN},
            {1e30, inf}, {-1e30, 0}, {tiny, 1}});
        check(type, UnaryOp.LOG, new double[][] {{1, 0}, {0, -inf}, {-0.0, -inf}, {inf, inf}, {-1, Double.NaN},
            {-tiny, Double.NaN}, {-inf, Double.NaN}, {Double.NaN, Double.NaN}});
        check(type, UnaryOp.TANH, new double[][] {{0, 0}, {-0.0, -0.0}, {inf, 1}, {-inf, -1}, {1e30, 1}, {-1e30, -1},
            {tiny, tiny}, {-tiny, -tiny}, {Double.NaN, Double.NaN}});
    }

    private static void check(Type type, UnaryOp op, double[][] table) {
        for (var row : table) {
            assertThat(unary(op, type, row[0])).as("%s %s(%s)", type, op, row[0]).containsExactly(row[1]);
            long host = Scalar.unary(op, type, Scalar.of(type, row[0]));
            assertThat(Scalar.toDouble(type, host)).as("the host's %s(%s)", op, row[0]).isEqualTo(Double.valueOf(row[1]));
        }
    }

    /// Every special value to the power of every other, expanded as the host has it.
    @ParameterizedTest
    @EnumSource(value = Type.class, names = {"F32", "F64"})
    void specialPowers(Type type) {
        ToDoubleBiFunction<Double, Double> host = (x, y) -> Scalar.toDouble(
                type, Scalar.binary(BinaryOp.POW, type, Scalar.of(type, x), Scalar.of(type, y)));
        for (double x : World.SPECIALS) {
            for (double y : World.SPECIALS) {
                double expected = host.applyAsDouble(x, y);
                double mine = pow(type, new double[] {x}, new double[] {y})[0];
                boolean exact = expected == 0 || expected == 1 || !Double.isFinite(expected);
                assertThat(mine).as("%s %s^%s", type, x, y).satisfies(value -> {
                    if (exact) {
                        assertThat(value).isEqualTo(Double.valueOf(expected));
                    } else {
                        assertThat(value).isCloseTo(expected, org.assertj.core.data.Percentage.withPercentage(1e-4));
                    }
                });
            }
        }
        for (double y : World.SPECIALS) {
            assertThat(host.applyAsDouble(1.0, y)).isEqualTo(1);
            assertThat(host.applyAsDouble(y, 0.0)).isEqualTo(1);
            assertThat(host.applyAsDouble(-2.0, y)).isEqualTo(Double.valueOf(rounded(type, y) == 0 ? 1 : Double.NaN));
        }
        assertThat(host.applyAsDouble(-0.0, 3.0)).isEqualTo(0.0);
        assertThat(host.applyAsDouble(-0.0, -3.0)).isEqualTo(Double.POSITIVE_INFINITY);
    }
}
